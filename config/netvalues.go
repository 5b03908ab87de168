package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// address is an IP address without a zone.
var address = scalar("an IP address", schema{"type": "string", "format": "ip"}, parseAddr)

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		meant := ""
		if p, err := netip.ParsePrefix(s); err == nil {
			meant = p.Addr().String()
		}
		return netip.Addr{}, &misfit{meant: meant}
	}
	switch {
	case a.Zone() != "":
		return netip.Addr{}, &misfit{reason: "has a zone", meant: a.WithZone("").String()}
	case a.Is4In6():
		return netip.Addr{}, &misfit{reason: "is IPv4 written as IPv6", meant: a.Unmap().String()}
	}
	return a, nil
}

// hostAddress is an address that one machine can have.
var hostAddress = scalar("the IP address of a host", schema{"type": "string", "format": "ip"}, func(s string) (netip.Addr, error) {
	a, err := parseAddr(s)
	switch {
	case err != nil:
		return a, err
	case a.IsUnspecified(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return netip.Addr{}, &misfit{reason: "is not the address of a host"}
	}
	return a, nil
})

// network is a prefix whose host bits are zero; a bare address is the network of that one host (R35).
var network = scalar(networkWords, schema{"type": "string"}, readNetwork)

const networkWords = "a network as 10.20.0.0/16 or 2001:db8::/32"

// ParseNetwork reads a network as the configuration has it: masked, with a bare address for one host (R35).
func ParseNetwork(s string) (netip.Prefix, error) {
	p, err := readNetwork(s)
	if err == nil {
		return p, nil
	}
	why, _ := errors.AsType[*misfit](err)
	text := fmt.Sprintf("%q %s; want %s", s, cmp.Or(why.reason, "does not fit"), networkWords)
	if why.meant != "" {
		text += fmt.Sprintf("; did you mean %q?", why.meant)
	}
	return netip.Prefix{}, errors.New(text)
}

func readNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := parseAddr(s)
		if err != nil {
			return netip.Prefix{}, &misfit{meant: shortNetwork(s)}
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, &misfit{meant: shortNetwork(s)}
	case p.Addr().Is4In6():
		return netip.Prefix{}, &misfit{reason: "is IPv4 written as IPv6"}
	case p.Masked() != p:
		return netip.Prefix{}, &misfit{reason: "has host bits set", meant: p.Masked().String()}
	}
	return p, nil
}

var shortForm = regexp.MustCompile(`^([0-9]{1,3}(?:\.[0-9]{1,3}){0,2})\.?(?:/([0-9]{1,2}))?$`)

// shortNetwork completes "10.20/16", which some systems write for 10.20.0.0/16.
func shortNetwork(s string) string {
	parts := shortForm.FindStringSubmatch(s)
	if parts == nil || parts[2] == "" {
		return ""
	}
	full := parts[1] + strings.Repeat(".0", 3-strings.Count(parts[1], "."))
	p, err := netip.ParsePrefix(full + "/" + parts[2])
	if err != nil {
		return ""
	}
	return p.Masked().String()
}

// insideAddress is our address inside a tunnel with the length of the network that both ends are in (R31).
var insideAddress = scalar("our address inside the tunnel with its length, as 169.254.61.2/30", schema{"type": "string"}, func(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		meant := ""
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
			meant = s + "/30"
		}
		return netip.Prefix{}, &misfit{meant: meant}
	case p.Addr().Is4In6():
		return netip.Prefix{}, &misfit{reason: "is IPv4 written as IPv6"}
	case p.Addr().IsUnspecified(), p.Addr().IsMulticast(), p.Addr().IsLoopback():
		return netip.Prefix{}, &misfit{reason: "is not the address of a host"}
	case p.Addr().Is4() && p.Bits() < 31 && (p.Masked().Addr() == p.Addr() || lastAddr(p) == p.Addr()):
		return netip.Prefix{}, &misfit{reason: "is the first or last address of " + p.Masked().String() + ", which no host has"}
	}
	return p, nil
})

// lastAddr is the highest address of p.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// hostForm is a host name of letters, digits and dashes (RFC 1123 §2.1) whose last label is not a number.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$`)

// peerPlace is where a peer is: an address, a host name or any.
var peerPlace = scalar("an IP address, a host name or any", schema{"type": "string"}, func(s string) (Remote, error) {
	if s == "any" {
		return Remote{Any: true}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		switch {
		case a.Zone() != "", a.Is4In6(), a.IsUnspecified(), a.IsMulticast():
			return Remote{}, &misfit{reason: "is not the outside address of a peer"}
		}
		return Remote{Addr: a}, nil
	}
	if len(s) > 253 || !hostForm.MatchString(s) {
		meant := ""
		if p, err := netip.ParsePrefix(s); err == nil {
			meant = p.Addr().String()
		}
		return Remote{}, &misfit{meant: meant}
	}
	return Remote{Host: s}, nil
})

// listenAddress is an address and port to listen at, "" for nowhere.
var listenAddress = scalar("an address and port as 127.0.0.1:9480, or nothing", schema{"type": "string"}, func(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if _, err := netip.ParseAddrPort(s); err != nil {
		return "", &misfit{}
	}
	return s, nil
})

// endpoint is an address and port of TCP, or of UDP with udp: before it.
var endpoint = scalar("an address and port as 127.0.0.1:5432 or udp:127.0.0.1:53", schema{"type": "string"}, func(s string) (Endpoint, error) {
	rest, udp := strings.CutPrefix(s, "udp:")
	a, err := netip.ParseAddrPort(rest)
	if err != nil || a.Port() == 0 {
		return Endpoint{}, &misfit{}
	}
	return Endpoint{UDP: udp, Addr: a}, nil
})

// subjectForm is how a distinguished name begins.
var subjectForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.]*=`)

// identity is an IKE identity, checked as far as its form goes; ike/auth gives it its meaning.
var identity = quoted(scalar("an IKE identity: an address, a host name, fqdn:…, email:…, keyid:… or a certificate's subject", schema{"type": "string", "minLength": 1, "maxLength": 1024},
	func(s string) (string, error) {
		if dn := strings.TrimPrefix(s, "dn:"); subjectForm.MatchString(dn) { // "C=CH, O=Example, CN=gw"
			if len(s) > 1024 || strings.ContainsFunc(s, unicode.IsControl) {
				return "", &misfit{}
			}
			return s, nil
		}
		kind, rest, prefixed := strings.Cut(s, ":")
		if _, err := netip.ParseAddr(s); err == nil {
			return s, nil
		}
		known := kind == "fqdn" || kind == "email" || kind == "keyid"
		switch {
		case s == "" || len(s) > 255 || strings.ContainsAny(s, "\x00\r\n\t "):
			return "", &misfit{}
		case prefixed && !known:
			meant, _ := nearest(kind, []string{"fqdn", "email", "keyid"})
			if meant != "" {
				meant += ":" + rest
			}
			return "", &misfit{meant: meant}
		case prefixed && rest == "":
			return "", &misfit{reason: "is empty after the colon"}
		}
		return s, nil
	}))

// prefixRule is one line of a prefix list: "10.0.0.0/8 le 24".
var prefixRule = scalar(`a network with optional bounds on the length, as "10.0.0.0/8 le 24" or "10.0.0.0/8 ge 16 le 24"`, schema{"type": "string"},
	func(s string) (PrefixRule, error) {
		words := strings.Fields(s)
		if len(words) != 1 && len(words) != 3 && len(words) != 5 {
			return PrefixRule{}, &misfit{}
		}
		p, err := netip.ParsePrefix(words[0])
		if err != nil {
			return PrefixRule{}, &misfit{}
		}
		if p.Masked() != p {
			return PrefixRule{}, &misfit{reason: "has host bits set", meant: strings.Join(append([]string{p.Masked().String()}, words[1:]...), " ")}
		}
		rule := PrefixRule{Prefix: p, GE: p.Bits(), LE: p.Bits()}
		seen := map[string]bool{}
		for i := 1; i < len(words); i += 2 {
			n, err := strconv.Atoi(words[i+1])
			if err != nil || seen[words[i]] || n < p.Bits() || n > p.Addr().BitLen() {
				return PrefixRule{}, &misfit{}
			}
			seen[words[i]] = true
			switch words[i] {
			case "ge":
				rule.GE = n
			case "le":
				rule.LE = n
			default:
				return PrefixRule{}, &misfit{}
			}
		}
		if seen["ge"] && !seen["le"] {
			rule.LE = p.Addr().BitLen()
		}
		if rule.GE > rule.LE {
			return PrefixRule{}, &misfit{reason: "has ge above le"}
		}
		return rule, nil
	})
