package auth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"twinbore/ike/wire"
)

// MaxIDLen bounds an identity, in octets. The longest names in use, of DNS, have 253.
const MaxIDLen = 255

// An ID is an identity: what an IDi or IDr payload says (RFC 7296 §3.5). Equal tells whether two are the same. The zero
// ID is nobody.
type ID struct {
	Type wire.IDType
	// Data is the octets of the payload: 4 or 16 of an address, the DER of a distinguished name, the name itself
	// otherwise, without a terminator.
	Data string
}

// Equal reports whether two identities are the same: type and every octet, letters in upper and lower case being different.
// Distinguished names are compared part by part instead of by their encoding, which is not the same everywhere, and never as
// text (AUT-14).
func (id ID) Equal(other ID) bool {
	if id.Type == wire.IDDERASN1DN && other.Type == wire.IDDERASN1DN {
		return sameDN([]byte(id.Data), []byte(other.Data))
	}
	return id == other
}

// prefixes are the words before a colon that say the type of what follows.
var prefixes = []struct {
	word string
	kind wire.IDType
}{
	{"fqdn:", wire.IDFQDN},
	{"email:", wire.IDRFC822},
	{"keyid:", wire.IDKeyID},
}

// ParseID reads an identity as configuration has it: an address ("203.0.113.10", "2001:db8::1"), a name with its type
// before it ("fqdn:gw.example", "email:ops@gw.example", "keyid:branch-7", "keyid:0x6162" in hex), a distinguished name
// ("C=CH, O=Example, CN=gw", in the certificate's order, as strongSwan and openssl print it), or a bare name, which is an
// email address if it has an @ and an FQDN otherwise.
func ParseID(text string) (ID, error) {
	id, err := parseID(text)
	if err != nil {
		return ID{}, fmt.Errorf("identity %q: %w", text, err)
	}
	return id, nil
}

func parseID(text string) (ID, error) {
	for _, p := range prefixes {
		if name, ok := strings.CutPrefix(text, p.word); ok {
			return named(p.kind, name)
		}
	}
	if name, ok := strings.CutPrefix(text, "dn:"); ok {
		return distinguished(name)
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" {
			return ID{}, errors.New("an address of a link has no meaning at the peer, leave the zone out or use a name")
		}
		return IDFromAddr(addr), nil
	}
	switch {
	case strings.HasPrefix(text, "@"):
		return ID{}, fmt.Errorf("a name stands without @ before it: %q", "fqdn:"+text[1:])
	case looksLikeDN(text):
		return distinguished(text)
	case strings.ContainsRune(text, '@'):
		return named(wire.IDRFC822, text)
	case strings.ContainsRune(text, '='):
		return distinguished(text)
	}
	return named(wire.IDFQDN, text)
}

// distinguished encodes a distinguished name.
func distinguished(text string) (ID, error) {
	name, err := parseDNText(text)
	if err != nil {
		return ID{}, err
	}
	data, err := name.encode()
	if err != nil {
		return ID{}, err
	}
	if _, err := parseDN(data); err != nil { // what was given in hexadecimal may be nonsense
		return ID{}, err
	}
	return ID{Type: wire.IDDERASN1DN, Data: string(data)}, nil
}

// named checks what follows a type.
func named(kind wire.IDType, name string) (ID, error) {
	if digits, ok := strings.CutPrefix(name, "0x"); ok && kind == wire.IDKeyID {
		octets, err := hex.DecodeString(digits)
		if err != nil {
			return ID{}, errors.New("after 0x there must be pairs of hex digits")
		}
		name = string(octets)
	}
	if name == "" {
		return ID{}, errors.New("it is empty")
	}
	if len(name) > MaxIDLen {
		return ID{}, fmt.Errorf("it has %d octets, %d are the limit", len(name), MaxIDLen)
	}
	switch kind {
	case wire.IDFQDN:
		if i := strings.IndexFunc(name, func(r rune) bool { return !inHostName(r) }); i >= 0 {
			return ID{}, fmt.Errorf("a host name has letters, digits, dots and dashes only, not %q", name[i:i+1])
		}
	case wire.IDRFC822:
		local, host, ok := strings.Cut(name, "@")
		if !ok || local == "" || host == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) ||
			strings.ContainsFunc(host, func(r rune) bool { return !inHostName(r) }) {
			return ID{}, errors.New("an email address has the form user@host")
		}
	}
	return ID{Type: kind, Data: name}, nil
}

func inHostName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_' || r == '*'
}

// IDFromAddr is the identity of an address: ID_IPV4_ADDR or ID_IPV6_ADDR.
func IDFromAddr(addr netip.Addr) ID {
	addr = addr.Unmap()
	kind := wire.IDIPv6
	if addr.Is4() {
		kind = wire.IDIPv4
	}
	return ID{Type: kind, Data: string(addr.AsSlice())}
}

// FromWire takes the identity out of a peer's payload. Types that are not supported, addresses of a wrong length and
// names that are empty or longer than MaxIDLen are errors: nobody can be meant; so are distinguished names that are not
// DER. What the octets of another name are is not judged, for a strange one equals none that is configured.
func FromWire(p *wire.ID) (ID, error) {
	n := len(p.Data)
	switch p.Kind {
	case wire.IDIPv4:
		if n != 4 {
			return ID{}, fmt.Errorf("identity of type %s has %d octets, not 4", p.Kind, n)
		}
	case wire.IDIPv6:
		if n != 16 {
			return ID{}, fmt.Errorf("identity of type %s has %d octets, not 16", p.Kind, n)
		}
	case wire.IDFQDN, wire.IDRFC822, wire.IDKeyID:
		if n == 0 || n > MaxIDLen {
			return ID{}, fmt.Errorf("identity of type %s has %d octets, 1 to %d are possible", p.Kind, n, MaxIDLen)
		}
	case wire.IDDERASN1DN:
		if _, err := parseDN(p.Data); err != nil {
			return ID{}, err
		}
	default:
		return ID{}, fmt.Errorf("identity of type %s is not supported", p.Kind)
	}
	return ID{Type: p.Kind, Data: string(p.Data)}, nil
}

// Wire is the payload that says this identity: IDi of an initiator, IDr otherwise.
func (id ID) Wire(initiator bool) *wire.ID {
	return &wire.ID{Initiator: initiator, Kind: id.Type, Data: []byte(id.Data)}
}
