package auth

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// attributeNames are the words for attributes, the one that is printed first where there are several. SN and S are left
// out on purpose: one tool means the surname by it, another the serial number or the state.
var attributeNames = []struct{ word, oid string }{
	{"CN", "2.5.4.3"},
	{"surname", "2.5.4.4"},
	{"serialNumber", "2.5.4.5"},
	{"C", "2.5.4.6"},
	{"L", "2.5.4.7"},
	{"ST", "2.5.4.8"},
	{"street", "2.5.4.9"},
	{"O", "2.5.4.10"},
	{"OU", "2.5.4.11"},
	{"title", "2.5.4.12"},
	{"postalCode", "2.5.4.17"},
	{"givenName", "2.5.4.42"},
	{"GN", "2.5.4.42"},
	{"dnQualifier", "2.5.4.46"},
	{"organizationIdentifier", "2.5.4.97"},
	{"UID", "0.9.2342.19200300.100.1.1"},
	{"DC", "0.9.2342.19200300.100.1.25"},
	{"E", "1.2.840.113549.1.9.1"},
	{"emailAddress", "1.2.840.113549.1.9.1"},
	{"unstructuredName", "1.2.840.113549.1.9.2"},
	{"unstructuredAddress", "1.2.840.113549.1.9.8"},
}

// attributeOID is what stands before an equals sign, in any case: a word or a dotted number.
func attributeOID(word string) (string, bool) {
	for _, n := range attributeNames {
		if strings.EqualFold(word, n.word) {
			return n.oid, true
		}
	}
	_, err := parseOID(word)
	return word, err == nil
}

func parseOID(dotted string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.ParseUint(arc, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is no object identifier", cut(dotted))
		}
		oid = append(oid, int(n))
	}
	if len(oid) < 2 || oid[0] > 2 || oid[0] < 2 && oid[1] >= 40 {
		return nil, fmt.Errorf("%q is no object identifier", cut(dotted))
	}
	return oid, nil
}

// looksLikeDN tells a distinguished name from other identities: it begins with an attribute and "=".
func looksLikeDN(text string) bool {
	word, _, ok := strings.Cut(text, "=")
	if !ok {
		return false
	}
	_, ok = attributeOID(strings.TrimSpace(word))
	return ok
}

// parseDNText reads "C=CH, O=Example, CN=gw": attributes, escapes and "+" as in RFC 4514, and values in quotation marks as
// well. The order is that of the certificate, first things first, as strongSwan and openssl print it; RFC 4514 itself and
// LDAP tools turn it round.
func parseDNText(text string) (dn, error) {
	if strings.HasPrefix(text, "/") {
		return nil, errors.New(`a distinguished name is written with commas: "C=CH, O=Example, CN=gw"`)
	}
	name := dn{nil}
	for rest := text; ; {
		word, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, fmt.Errorf("an attribute is missing at the end, or a comma within a value is not written \\, (at %q)", cut(rest))
		}
		word = strings.TrimSpace(word)
		oid, ok := attributeOID(word)
		if !ok {
			return nil, fmt.Errorf("attribute %q is not known; write its object identifier: 2.5.4.3=…", cut(word))
		}
		a, end, after, err := readValue(strings.TrimLeft(after, " "))
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", cut(word), err)
		}
		a.oid = oid
		name[len(name)-1] = append(name[len(name)-1], a)
		switch end {
		case 0:
			return name, nil
		case ',':
			name = append(name, nil)
		}
		rest = after
	}
}

// readValue takes one value off text: it ends at a comma, a plus, which begins the next attribute, or the end (0).
func readValue(text string) (a attribute, end byte, rest string, err error) {
	switch {
	case strings.HasPrefix(text, "#"):
		i := strings.IndexAny(text, ",+ ")
		if i < 0 {
			i = len(text)
		}
		a.value, err = readElement(text[1:i])
		text = text[i:]
	case strings.HasPrefix(text, `"`):
		a.isText = true
		a.value, text, err = unescape(text[1:], `"`)
		if err == nil && !strings.HasPrefix(text, `"`) {
			err = errors.New("a quotation mark is missing at its end")
		}
		text = strings.TrimPrefix(text, `"`)
	default:
		a.isText = true
		a.value, text, err = unescape(text, ",+")
	}
	if err != nil {
		return a, 0, "", err
	}
	if a.value == "" {
		return a, 0, "", errors.New("it has no value")
	}
	text = strings.TrimLeft(text, " ")
	switch {
	case text == "":
		return a, 0, "", nil
	case text[0] == ',' || text[0] == '+':
		return a, text[0], text[1:], nil
	}
	return a, 0, "", fmt.Errorf("something stands after its value: %q", cut(text))
}

// readElement reads the octets of one DER element, in hexadecimal.
func readElement(digits string) (string, error) {
	octets, err := hex.DecodeString(digits)
	if err != nil {
		return "", errors.New("after # there must be pairs of hex digits")
	}
	var element cryptobyte.String
	var tag der.Tag
	if s := cryptobyte.String(octets); !s.ReadAnyASN1Element(&element, &tag) || !s.Empty() {
		return "", errors.New("after # there must be one DER element")
	}
	return string(octets), nil
}

// unescape reads up to an unescaped octet of stop, which stays in rest, or to the end. Blanks at the end go, unless
// escaped or in quotation marks.
func unescape(text, stop string) (value, rest string, err error) {
	var b strings.Builder
	keep, i := 0, 0 // keep: length of the value without blanks at its end
	for i < len(text) && strings.IndexByte(stop, text[i]) < 0 {
		c := text[i]
		switch {
		case c < ' ' || c == 0x7f:
			return "", "", fmt.Errorf("control character %#02x in the value", c)
		case c != '\\':
			b.WriteByte(c)
			i++
			if c != ' ' || stop == `"` {
				keep = b.Len()
			}
			continue
		case i+1 < len(text) && strings.IndexByte(` "#+,;<=>\`, text[i+1]) >= 0:
			b.WriteByte(text[i+1])
			i += 2
		default:
			octet, err := hex.DecodeString(text[i+1 : min(i+3, len(text))])
			if err != nil || len(octet) != 1 {
				return "", "", errors.New(`after \ there must be two hex digits or one of " # + , ; < = > \ and blank`)
			}
			b.WriteByte(octet[0])
			i += 3
		}
		keep = b.Len()
	}
	value = b.String()[:keep]
	if !utf8.ValidString(value) {
		return "", "", errors.New("its value is no UTF-8")
	}
	return value, text[i:], nil
}

// String prints the name so that parseDNText reads it, in printable ASCII whatever it holds.
func (n dn) String() string {
	var b strings.Builder
	for i, part := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		for j, a := range part {
			if j > 0 {
				b.WriteString(" + ")
			}
			a.print(&b)
		}
	}
	return b.String()
}

func (a attribute) print(b *strings.Builder) {
	word := a.oid
	for _, n := range attributeNames {
		if n.oid == a.oid {
			word = n.word
			break
		}
	}
	b.WriteString(word + "=")
	if !a.isText {
		fmt.Fprintf(b, "#%x", a.value)
		return
	}
	if a.value == "" { // a UTF8String without a letter: nothing behind the sign is taken for a slip
		b.WriteString("#0c00")
		return
	}
	for i := range len(a.value) {
		switch c := a.value[i]; {
		case strings.IndexByte(`"+,;<>\`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(a.value)-1):
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(b, `\%02X`, c)
		default:
			b.WriteByte(c)
		}
	}
}
