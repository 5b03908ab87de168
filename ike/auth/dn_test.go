package auth

import (
	"strings"
	"testing"

	"twinbore/esp/protect/vectors"
	"twinbore/ike/wire"
)

func dnID(octets []byte) ID { return ID{Type: wire.IDDERASN1DN, Data: string(octets)} }

// The subjects of certificates by openssl, and how strongSwan's pki and openssl print them: the same name.
func TestDNVectors(t *testing.T) {
	for _, c := range vectors.Load(t, "ike-dn.txt") {
		id, err := FromWire(&wire.ID{Kind: wire.IDDERASN1DN, Data: c.Hex(t, "der")})
		if err != nil {
			t.Errorf("%s: %v", c.Name(), err)
			continue
		}
		if got, want := id.String(), c.Text(t, "shown"); got != want {
			t.Errorf("%s: shown as %s, want %s", c.Name(), got, want)
		}
		for _, form := range []string{"shown", "strongswan", "openssl"} {
			if !c.Has(form) {
				continue
			}
			text := c.Text(t, form)
			parsed, err := ParseID(text)
			if err != nil {
				t.Errorf("%s: %v", c.Name(), err)
			} else if !parsed.Equal(id) || !id.Equal(parsed) {
				t.Errorf("%s: %s is not the same as %s", c.Name(), text, id)
			}
		}
	}
}

// What configuration can say.
func TestParseDN(t *testing.T) {
	for text, want := range map[string]string{
		"CN=gw, O=Example":                      "CN=gw, O=Example",
		"cn = gw ,o= Example":                   "CN=gw, O=Example",
		"CN=gw,O=Example":                       "CN=gw, O=Example",
		"dn:CN=gw":                              "CN=gw",
		"dn: CN=gw":                             "CN=gw",
		"2.5.4.3=gw":                            "CN=gw",
		"1.3.6.1.4.1.99999.7=x":                 "1.3.6.1.4.1.99999.7=x",
		"emailAddress=ops@gw.example, CN=gw":    "E=ops@gw.example, CN=gw",
		"E=ops@gw.example":                      "E=ops@gw.example",
		`O=Example\, Inc., CN=a\+b\=c`:          `O=Example\, Inc., CN=a\+b=c`,
		`O="Example, Inc.", CN="a+b"`:           `O=Example\, Inc., CN=a\+b`,
		`CN="say \"hello\""`:                    `CN=say \"hello\"`,
		`CN=\ gw\ `:                             `CN=\ gw\ `,
		`CN=" gw "`:                             `CN=\ gw\ `,
		`CN=\#1`:                                `CN=\#1`,
		`CN=Z\C3\BCrich`:                        `CN=Z\C3\BCrich`,
		"CN=Zürich":                             `CN=Z\C3\BCrich`,
		`CN=a\5cb`:                              `CN=a\\b`,
		`CN=two\0alines`:                        `CN=two\0Alines`,
		"CN=gw+UID=7":                           "CN=gw + UID=7",
		"UID=7 + CN=gw":                         "CN=gw + UID=7",
		"CN=#0c026777":                          "CN=gw",
		"CN=#130267772b , O=x":                  "",
		"CN=#13026777, O=x":                     "CN=gw, O=x",
		"2.5.4.45=#03020780":                    "2.5.4.45=#03020780",
		"C=Switzerland":                         "C=Switzerland",
		"serialNumber=7, surname=x":             "serialNumber=7, surname=x",
		"C=Genève, serialNumber=a_b":            `C=Gen\C3\A8ve, serialNumber=a_b`,
		"1." + strings.Repeat("2.", 40) + "3=x": "1." + strings.Repeat("2.", 40) + "3=x",
		"DC=example, DC=com":                    "DC=example, DC=com",
		"CN=" + strings.Repeat("x", 300):        "CN=" + strings.Repeat("x", 250) + "...",
		"CN=gw = 1":                             "CN=gw = 1",
		"CN=a;b":                                `CN=a\;b`,
		"":                                      "",
		"CN=":                                   "",
		"CN=gw,":                                "",
		"CN=gw, ":                               "",
		"=gw":                                   "",
		",CN=gw":                                "",
		"CN=gw, Inc., O=x":                      "",
		"CN=gw+":                                "",
		"SN=7":                                  "",
		"FOO=bar":                               "",
		"9.9=x":                                 "",
		"1.40=x":                                "",
		"2.5.4.3.=x":                            "",
		"2.5.4.-3=x":                            "",
		"2.5.4.99999999999=x":                   "",
		"/C=CH/CN=gw":                           "",
		`CN="gw`:                                "",
		`CN="gw" x`:                             "",
		`CN=gw\`:                                "",
		`CN=gw\4`:                               "",
		`CN=gw\zz`:                              "",
		`CN=\ff`:                                "",
		"CN=two\nlines":                         "",
		"CN=gw\x00":                             "",
		"CN=#":                                  "",
		"CN=#0c":                                "",
		"CN=#0c0267":                            "",
		"CN=#0c02677700":                        "",
		"CN=#0c02ffff":                          "",
		"CN=#zz":                                "",
		"CN=" + strings.Repeat("x", MaxDNLen):   "",
		strings.Repeat("CN=x,", 20_000) + "C=x": "",
	} {
		id, err := ParseID(text)
		switch {
		case want == "" && err == nil:
			t.Errorf("%.60q is %s, want an error", text, id)
		case want != "" && err != nil:
			t.Errorf("%.60q: %v", text, err)
		case want != "" && (id.Type != wire.IDDERASN1DN || id.String() != want):
			t.Errorf("%.60q is %s %s, want %s", text, id.Type, id, want)
		case want == "" && len(err.Error()) > len(text)+300:
			t.Errorf("%.60q: the error has %d letters", text, len(err.Error()))
		}
	}
}

// An equals sign alone makes no distinguished name: the type can always be given, and an email address may hold one.
func TestWhatIsNoDN(t *testing.T) {
	for text, want := range map[string]wire.IDType{
		"a=b@gw.example":    wire.IDRFC822,
		"email:CN=x@gw":     wire.IDRFC822,
		"keyid:CN=gw, O=x":  wire.IDKeyID,
		"CN":                wire.IDFQDN,
		"gw.example":        wire.IDFQDN,
		"CN=ops@gw.example": wire.IDDERASN1DN,
		"E=x@gw, CN=y":      wire.IDDERASN1DN,
		"1.2.3=x@gw":        wire.IDDERASN1DN,
		"dn:E=x@gw.example": wire.IDDERASN1DN,
	} {
		id, err := ParseID(text)
		if err != nil || id.Type != want {
			t.Errorf("%s is %s, %v; want %s", text, id.Type, err, want)
			continue
		}
		if again, err := ParseID(id.String()); err != nil || !again.Equal(id) {
			t.Errorf("%s is shown as %s, which is %v, %v", text, id, again, err)
		}
	}
}

// AUT-14: a DN is compared part by part, never as text.
func TestDNEqual(t *testing.T) {
	const oidCN, oidO, oidC = "\x06\x03\x55\x04\x03", "\x06\x03\x55\x04\x0a", "\x06\x03\x55\x04\x06"
	wrap := func(tag byte, inside ...string) string {
		text := strings.Join(inside, "")
		return string([]byte{tag, byte(len(text))}) + text
	}
	attr := func(oid string, tag byte, value string) string { return wrap(0x30, oid, wrap(tag, value)) }
	name := func(rdns ...string) string { return wrap(0x30, rdns...) }
	one := func(oid string, tag byte, value string) string { return wrap(0x31, attr(oid, tag, value)) }
	const utf8, printable, ia5, bmp, teletex = 12, 19, 22, 30, 20
	base := name(one(oidC, printable, "CH"), one(oidCN, utf8, "gw"))
	for what, c := range map[string]struct {
		a, b string
		same bool
	}{
		"itself":                       {base, base, true},
		"other types of string":        {base, name(one(oidC, utf8, "CH"), one(oidCN, printable, "gw")), true},
		"IA5String":                    {base, name(one(oidC, printable, "CH"), one(oidCN, ia5, "gw")), true},
		"another value":                {base, name(one(oidC, printable, "CH"), one(oidCN, utf8, "hq")), false},
		"capitals":                     {base, name(one(oidC, printable, "CH"), one(oidCN, utf8, "GW")), false},
		"a blank more":                 {base, name(one(oidC, printable, "CH"), one(oidCN, utf8, "gw ")), false},
		"another order":                {base, name(one(oidCN, utf8, "gw"), one(oidC, printable, "CH")), false},
		"a prefix":                     {base, name(one(oidC, printable, "CH")), false},
		"more at the end":              {base, name(one(oidC, printable, "CH"), one(oidCN, utf8, "gw"), one(oidO, utf8, "x")), false},
		"another attribute":            {base, name(one(oidC, printable, "CH"), one(oidO, utf8, "gw")), false},
		"text that looks like two":     {name(one(oidO, utf8, "x, CN=gw")), name(one(oidO, utf8, "x"), one(oidCN, utf8, "gw")), false},
		"the same, together":           {name(one(oidO, utf8, "x + CN=gw")), name(wrap(0x31, attr(oidO, utf8, "x"), attr(oidCN, utf8, "gw"))), false},
		"together, in another order":   {name(wrap(0x31, attr(oidCN, utf8, "gw"), attr(oidO, utf8, "x"))), name(wrap(0x31, attr(oidO, utf8, "x"), attr(oidCN, utf8, "gw"))), true},
		"together against apart":       {name(wrap(0x31, attr(oidCN, utf8, "gw"), attr(oidO, utf8, "x"))), name(one(oidCN, utf8, "gw"), one(oidO, utf8, "x")), false},
		"together against one of them": {name(wrap(0x31, attr(oidCN, utf8, "gw"), attr(oidO, utf8, "x"))), name(one(oidCN, utf8, "gw")), false},
		"together, one twice":          {name(wrap(0x31, attr(oidCN, utf8, "gw"), attr(oidCN, utf8, "gw"))), name(wrap(0x31, attr(oidCN, utf8, "gw"), attr(oidCN, utf8, "hq"))), false},
		"NUL and more":                 {base, name(one(oidC, printable, "CH"), one(oidCN, utf8, "gw\x00.evil")), false},
		"BMPString of the same":        {base, name(one(oidC, printable, "CH"), one(oidCN, bmp, "\x00g\x00w")), false},
		"TeletexString of the same":    {base, name(one(oidC, printable, "CH"), one(oidCN, teletex, "gw")), false},
		"BMPString, itself":            {name(one(oidCN, bmp, "\x00g\x00w")), name(one(oidCN, bmp, "\x00g\x00w")), true},
		"text in the form of other":    {name(one(oidCN, bmp, "\x00g")), name(one(oidCN, utf8, "\x1e\x02\x00g")), false},
		"nothing readable, and itself": {"\x30\x00", "\x30\x00", false},
	} {
		if got := dnID([]byte(c.a)).Equal(dnID([]byte(c.b))); got != c.same {
			t.Errorf("%s: equal is %v", what, got)
		}
		if got := dnID([]byte(c.b)).Equal(dnID([]byte(c.a))); got != c.same {
			t.Errorf("%s, turned round: equal is %v", what, got)
		}
	}
	for _, other := range []ID{{}, {Type: wire.IDFQDN, Data: base}, {Type: wire.IDKeyID, Data: base}} {
		if id := dnID([]byte(base)); id.Equal(other) || other.Equal(id) {
			t.Errorf("%s equals %s", id, other)
		}
	}
}

// MAL-14: DN garbage.
func TestDNFromWireIsRefused(t *testing.T) {
	good, err := ParseID("C=CH, O=Example, CN=gw")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(good.Data) {
		if id, err := FromWire(&wire.ID{Kind: wire.IDDERASN1DN, Data: []byte(good.Data[:n])}); err == nil {
			t.Errorf("the first %d of %d octets are taken for %s", n, len(good.Data), id)
		}
	}
	for name, text := range map[string]string{
		"nothing":                       "",
		"without attributes":            "3000",
		"an octet after it":             "300c310a300806035504030c0161 00",
		"indefinite length":             "3080310a300806035504030c01610000",
		"long form of length":           "30810c310a300806035504030c0161",
		"empty set":                     "30023100",
		"a sequence for the set":        "300c300a300806035504030c0161",
		"attribute without value":       "300931073005060355 0403",
		"attribute with two":            "300f310d300b06035504030c01610c0162",
		"no object identifier":          "300a31083006040155 0c0161",
		"text that is no UTF-8":         "300c310a300806035504030c01ff",
		"PrintableString with \\xff":    "300c310a300806035504031301ff",
		"PrintableString that is UTF-8": "300d310b300906035504031302c3a9",
		"constructed string":            "300e310c300a0603550403 2c030c0162 ff",
		"high tag numbers":              "300d310b30090603550403 1f810000",
		"length of 2^32":                "3084ffffffff",
		"sets within sets":              strings.Repeat("31823fff", 64),
	} {
		id, err := FromWire(&wire.ID{Kind: wire.IDDERASN1DN, Data: unhex(t, text)})
		if err == nil {
			t.Errorf("%s is taken for %s", name, id)
		}
	}
	// 85 attributes of 12 octets fit into 1024, 86 do not; 64 kB do not either.
	const part = "\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01a"
	for parts, ok := range map[int]bool{85: true, 86: false, 5461: false} {
		n := parts * len(part)
		data := append([]byte{0x30, 0x82, byte(n >> 8), byte(n)}, strings.Repeat(part, parts)...)
		if _, err := FromWire(&wire.ID{Kind: wire.IDDERASN1DN, Data: data}); (err == nil) != ok {
			t.Errorf("%d octets: %v", len(data), err)
		}
	}
}

// Whatever is read is shown in printable ASCII in a form that gives the same name again, and equals itself.
func FuzzDN(f *testing.F) {
	for _, text := range []string{"C=CH, O=Example, CN=gw", `CN=\ a\,\00 + UID=#0500, 1.2.3=Z\C3\BC`, "CN=#1e020061", "E=a@b"} {
		id, err := ParseID(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(id.Data), text)
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		var name dn
		if id, err := FromWire(&wire.ID{Kind: wire.IDDERASN1DN, Data: data}); err == nil {
			if !id.Equal(id) {
				t.Fatalf("%x does not equal itself", data)
			}
			if name, err = parseDN(data); err != nil {
				t.Fatal(err)
			}
			checkShown(t, name)
		}
		if n, err := parseDNText(text); err == nil {
			if octets, err := n.encode(); err == nil {
				if back, err := parseDN(octets); err == nil {
					checkShown(t, back)
				}
			}
		}
	})
}

func checkShown(t *testing.T, name dn) {
	t.Helper()
	shown := name.String()
	if strings.ContainsFunc(shown, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("shown as %q", shown)
	}
	parsed, err := parseDNText(shown)
	if err != nil {
		t.Fatalf("shown as %q: %v", shown, err)
	}
	octets, err := parsed.encode()
	if err != nil {
		if strings.Contains(err.Error(), "limit") {
			return // the same text in wider types of string
		}
		t.Fatalf("shown as %q: %v", shown, err)
	}
	if again, err := parseDN(octets); err != nil || !again.equal(name) {
		t.Fatalf("shown as %q, which is %v, %v", shown, again, err)
	}
}
