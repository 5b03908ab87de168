package auth

import (
	"net/netip"
	"strings"
	"testing"

	"twinbore/ike/wire"
)

// N-53: all of IPV4, IPV6, FQDN, RFC822 and KEY_ID can be said, and no string has a terminator.
func TestParseID(t *testing.T) {
	for text, want := range map[string]ID{
		"203.0.113.10":        {wire.IDIPv4, "\xcb\x00\x71\x0a"},
		"2001:db8::1":         {wire.IDIPv6, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"},
		"::ffff:203.0.113.10": {wire.IDIPv4, "\xcb\x00\x71\x0a"},
		"gw.example":          {wire.IDFQDN, "gw.example"},
		"GW.example":          {wire.IDFQDN, "GW.example"},
		"fqdn:gw.example":     {wire.IDFQDN, "gw.example"},
		"fqdn:203.0.113.10":   {wire.IDFQDN, "203.0.113.10"},
		"ops@gw.example":      {wire.IDRFC822, "ops@gw.example"},
		"email:ops@gw":        {wire.IDRFC822, "ops@gw"},
		"keyid:ab":            {wire.IDKeyID, "ab"},
		"keyid:branch 7 @ x":  {wire.IDKeyID, "branch 7 @ x"},
		"keyid:0x6162":        {wire.IDKeyID, "ab"},
		"keyid:0x00ff":        {wire.IDKeyID, "\x00\xff"},
	} {
		got, err := ParseID(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "empty",
		"fqdn:":                            "empty",
		"keyid:":                           "empty",
		"keyid:0x":                         "empty",
		"keyid:0x6":                        "pairs of hex digits",
		"keyid:0xzz":                       "pairs of hex digits",
		"gw example":                       `not " "`,
		"gw.example\n":                     "letters, digits",
		"gw\x00":                           "letters, digits",
		"fqdn:gw/example":                  `not "/"`,
		"@gw.example":                      `"fqdn:gw.example"`,
		"email:gw.example":                 "user@host",
		"email:@gw":                        "user@host",
		"a b@gw.example":                   "user@host",
		`a\x1a@gw`:                         "user@host", // or it would look like another, escaped
		"a@b@c":                            "user@host",
		"fe80::1%eth0":                     "zone",
		"fqdn:" + strings.Repeat("a", 256): "256 octets, 255 are the limit",
	} {
		id, err := ParseID(text)
		if err == nil {
			t.Errorf("%q is %+v, want an error", text, id)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %q, want in it %q", text, err, want)
		}
	}
}

// MAL-14: lengths are checked, types that are not supported are refused, and no content of a name is harmful: it
// equals nothing that is configured.
func TestFromWire(t *testing.T) {
	for _, c := range []struct {
		name string
		kind wire.IDType
		data string
		ok   bool
	}{
		{"IPv4", wire.IDIPv4, "\xcb\x00\x71\x0a", true},
		{"IPv4 of 3 octets", wire.IDIPv4, "\xcb\x00\x71", false},
		{"IPv4 of 5 octets", wire.IDIPv4, "\xcb\x00\x71\x0a\x00", false},
		{"IPv4 of none", wire.IDIPv4, "", false},
		{"IPv6", wire.IDIPv6, strings.Repeat("\x20", 16), true},
		{"IPv6 of 15 octets", wire.IDIPv6, strings.Repeat("\x20", 15), false},
		{"IPv6 of 17 octets", wire.IDIPv6, strings.Repeat("\x20", 17), false},
		{"FQDN", wire.IDFQDN, "gw.example", true},
		{"FQDN of nothing", wire.IDFQDN, "", false},
		{"FQDN of 255", wire.IDFQDN, strings.Repeat("a", 255), true},
		{"FQDN of 256", wire.IDFQDN, strings.Repeat("a", 256), false},
		{"FQDN of 64 kB", wire.IDFQDN, strings.Repeat("a", 65000), false},
		{"FQDN with a NUL at its end", wire.IDFQDN, "gw.example\x00", true},
		{"FQDN with a newline", wire.IDFQDN, "gw.example\n", true},
		{"FQDN with an ANSI escape", wire.IDFQDN, "\x1b[2Jgw.example", true},
		{"FQDN with a command", wire.IDFQDN, "$(id)", true},
		{"email", wire.IDRFC822, "ops@gw.example", true},
		{"email of nothing", wire.IDRFC822, "", false},
		{"key ID", wire.IDKeyID, "\x00\xff", true},
		{"key ID of nothing", wire.IDKeyID, "", false},
		{"DN", wire.IDDERASN1DN, "\x30\x00", false},
		{"DN of garbage", wire.IDDERASN1DN, "\x30\x80\xff", false},
		{"GN", wire.IDDERASN1GN, "\x82\x01a", false},
		{"type 0", 0, "gw.example", false},
		{"type 4", 4, "gw.example", false},
		{"type 201", 201, "gw.example", false},
	} {
		p := &wire.ID{Kind: c.kind, Data: []byte(c.data)}
		id, err := FromWire(p)
		if (err == nil) != c.ok {
			t.Errorf("%s: got %+v, %v", c.name, id, err)
			continue
		}
		if !c.ok {
			if id != (ID{}) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%s: got %+v and error %q, want nobody and a clean text", c.name, id, err)
			}
			continue
		}
		if id != (ID{Type: c.kind, Data: c.data}) {
			t.Errorf("%s: got %+v, want the octets of the payload", c.name, id)
		}
		p.Data[0] ^= 0xff
		if id.Data != c.data {
			t.Errorf("%s: the identity changes with the message", c.name)
		}
	}
}

// AUT-14: who is meant is decided octet by octet, at either end: there are no patterns, and what looks like one is itself.
func TestIDsAreComparedExactly(t *testing.T) {
	want := mustParse(t, "gw.example")
	for _, other := range []ID{
		{wire.IDFQDN, "gw.example\x00"}, {wire.IDFQDN, "gw.example\n"}, {wire.IDFQDN, "gw.exampl"}, {wire.IDFQDN, "GW.EXAMPLE"},
		{wire.IDFQDN, "gw.example."}, {wire.IDFQDN, "*"}, {wire.IDFQDN, "*.example"}, {wire.IDKeyID, "gw.example"},
		{wire.IDRFC822, "gw.example"}, {}, {wire.IDFQDN, "agw.example"}, {wire.IDFQDN, "gw.example.evil"}, {wire.IDFQDN, "evil\ngw.example"},
		{wire.IDFQDN, "gw.*"}, {wire.IDFQDN, "g?.example"}, {wire.IDFQDN, "[g]w.example"}, {wire.IDFQDN, `^gw\.example$`}, {wire.IDFQDN, "gw%2Eexample"},
		{wire.IDRFC822, "*@gw.example"}, {wire.IDFQDN, strings.Repeat("gw.example", 6500)},
	} {
		if other.Equal(want) || want.Equal(other) {
			t.Errorf("%.40q is taken for %+v", other.Data, want)
		}
	}
	for _, pattern := range []string{"*", "*.example", "gw.*", "g?.example", "[g]w.example", "fqdn:*.example", "^gw", "%any"} {
		if id, err := ParseID(pattern); err == nil && (id.Equal(want) || want.Equal(id)) { // a wildcard certificate has such a name
			t.Errorf("%q is configured and stands for %+v", pattern, want)
		}
	}
}

func mustParse(t *testing.T, text string) ID {
	t.Helper()
	id, err := ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestWireAndBack(t *testing.T) {
	for _, text := range []string{"203.0.113.10", "2001:db8::1", "gw.example", "ops@gw.example", "keyid:0x00ff"} {
		id := mustParse(t, text)
		for _, initiator := range []bool{true, false} {
			p := id.Wire(initiator)
			if p.Initiator != initiator {
				t.Errorf("%s: initiator is %v, want %v", text, p.Initiator, initiator)
			}
			if got, err := FromWire(p); err != nil || got != id {
				t.Errorf("%s comes back as %+v, %v", text, got, err)
			}
		}
	}
}

func TestIDFromAddr(t *testing.T) {
	for _, text := range []string{"192.0.2.1", "2001:db8::2"} {
		if got, want := IDFromAddr(netip.MustParseAddr(text)), mustParse(t, text); got != want {
			t.Errorf("%s is %+v, want %+v", text, got, want)
		}
	}
	if got := IDFromAddr(netip.MustParseAddr("::ffff:192.0.2.1")); got.Type != wire.IDIPv4 {
		t.Errorf("an IPv4 address in IPv6's form is of type %s, want IPv4", got.Type)
	}
}

// MAL-14: what a peer sends does no harm to a log or a terminal, is cut, and cannot be taken for another identity.
func TestStringIsHarmless(t *testing.T) {
	for want, id := range map[string]ID{
		"203.0.113.10":         {wire.IDIPv4, "\xcb\x00\x71\x0a"},
		"2001:db8::1":          {wire.IDIPv6, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"},
		"gw.example":           {wire.IDFQDN, "gw.example"},
		"fqdn:203.0.113.10":    {wire.IDFQDN, "203.0.113.10"},
		"fqdn:a@b":             {wire.IDFQDN, "a@b"},
		`fqdn:gw.example\x00`:  {wire.IDFQDN, "gw.example\x00"},
		`fqdn:gw.example\\x00`: {wire.IDFQDN, `gw.example\x00`},
		`fqdn:gw\x0a\x1b[2J`:   {wire.IDFQDN, "gw\n\x1b[2J"},
		"fqdn:$(id)":           {wire.IDFQDN, "$(id)"},
		`fqdn:\xe2\x80\xaegw`:  {wire.IDFQDN, "\u202egw"},
		"ops@gw.example":       {wire.IDRFC822, "ops@gw.example"},
		"email:gw.example":     {wire.IDRFC822, "gw.example"},
		"keyid:branch-7":       {wire.IDKeyID, "branch-7"},
		"keyid:0x00ff":         {wire.IDKeyID, "\x00\xff"},
		"keyid:0x307836":       {wire.IDKeyID, "0x6"},
		"nobody":               {},
		"fqdn:" + strings.Repeat(".", 56) + "...": {wire.IDFQDN, strings.Repeat(".", 56) + "\x00\x00"},
		strings.Repeat("a", 61) + "...":           {wire.IDFQDN, strings.Repeat("a", 255)},
		`DER_ASN1_DN:0\x00`:                       {wire.IDDERASN1DN, "0\x00"},
		`IPV4_ADDR:\x01`:                          {wire.IDIPv4, "\x01"},
	} {
		if got := id.String(); got != want {
			t.Errorf("%+v is shown as %s, want %s", id, got, want)
		}
	}
}

// Whatever is configured is shown in a form that can be configured, as long as it is not cut.
func FuzzID(f *testing.F) {
	for _, s := range []string{"gw.example", "203.0.113.10", "keyid:0x00", "a@b", "fqdn:10.0.0.1", "keyid:0x", "\x00", "email:a@b"} {
		f.Add(s, uint8(2))
	}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		if id, err := ParseID(text); err == nil {
			shown := id.String()
			if again, err := ParseID(shown); len(shown) < maxPrinted && (err != nil || !again.Equal(id)) {
				t.Fatalf("%q is shown as %q, which is %+v, %v", text, shown, again, err)
			}
			if back, err := FromWire(id.Wire(true)); err != nil || back != id {
				t.Fatalf("%q comes back from the wire as %+v, %v", text, back, err)
			}
		}
		id, err := FromWire(&wire.ID{Kind: wire.IDType(kind), Data: []byte(text)})
		if err != nil {
			return
		}
		shown, most := id.String(), maxPrinted
		if id.Type == wire.IDDERASN1DN {
			most = maxPrintedDN
		}
		if len(shown) > most || strings.ContainsFunc(shown, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%+v is shown as %q", id, shown)
		}
		if other, err := ParseID(shown); err == nil && !other.Equal(id) && len(shown) < most {
			t.Fatalf("%+v is shown as %q, which is %+v", id, shown, other)
		}
	})
}
