package auth

import (
	"fmt"
	"net/netip"
	"strings"

	"twinbore/ike/wire"
)

// maxPrinted is how much of an identity is shown, in letters; maxPrintedDN is that of a distinguished name, whose last
// part matters most.
const (
	maxPrinted   = 64
	maxPrintedDN = 256
)

// String shows the identity in the form that ParseID reads, with its type before it unless that is plain. It is safe
// in a log and on a terminal whatever a peer sent: octets that are no printable ASCII are written \xNN, and what is
// longer than 64 letters, 256 of a distinguished name, is cut and ends in "...".
func (id ID) String() string {
	switch id.Type {
	case wire.IDIPv4, wire.IDIPv6:
		if addr, ok := netip.AddrFromSlice([]byte(id.Data)); ok {
			return addr.String()
		}
	case wire.IDDERASN1DN:
		if name, err := parseDN([]byte(id.Data)); err == nil {
			return cutTo(maxPrintedDN, name.String())
		}
	case 0:
		return "nobody"
	}
	if bare, err := parseID(id.Data); err == nil && bare == id {
		return cut(id.Data)
	}
	for _, p := range prefixes {
		if p.kind == id.Type {
			return cut(p.word + id.value())
		}
	}
	return cut(fmt.Sprintf("%s:%s", id.Type, escape(id.Data)))
}

// value is the data as it stands after a type. Key IDs are often no text, and one that is may look like hex.
func (id ID) value() string {
	text := escape(id.Data)
	if id.Type == wire.IDKeyID && (text != id.Data || strings.HasPrefix(text, "0x")) {
		return fmt.Sprintf("0x%x", id.Data)
	}
	return text
}

// escape leaves printable ASCII only; a backslash is doubled so that nothing can pretend to have been escaped.
func escape(data string) string {
	var b strings.Builder
	for i := range len(data) {
		switch c := data[i]; {
		case c == '\\':
			b.WriteString(`\\`)
		case ' ' <= c && c <= '~':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

func cut(text string) string { return cutTo(maxPrinted, text) }

func cutTo(most int, text string) string {
	if len(text) <= most {
		return text
	}
	return text[:most-3] + "..."
}
