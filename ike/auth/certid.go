package auth

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"

	"twinbore/ike/wire"
)

// NamedIn tells whether a certificate names this identity, nil if so: a distinguished name is its subject, whole and exactly;
// a host name, an email address or an IP address is one of its subject alternative names (RFC 4301 §4.4.3.2, RFC 4945
// §3.1). A common name alone never is enough, wildcards stand for nothing but themselves, and a key ID is in no
// certificate. The error is an ErrIdentity that says what the certificate does name.
func (id ID) NamedIn(cert *x509.Certificate) error {
	found := false
	switch id.Type {
	case wire.IDDERASN1DN:
		if found = sameDN([]byte(id.Data), cert.RawSubject); !found {
			return refuse(ErrIdentity, "the certificate's subject is %s, not %s%s", subject(cert), id, reversedHint(id, cert))
		}
	case wire.IDFQDN:
		found = slices.ContainsFunc(cert.DNSNames, func(name string) bool { return sameHost(name, id.Data) })
	case wire.IDRFC822:
		found = slices.ContainsFunc(cert.EmailAddresses, func(name string) bool { return sameMailbox(name, id.Data) })
	case wire.IDIPv4, wire.IDIPv6:
		found = slices.ContainsFunc(cert.IPAddresses, func(ip net.IP) bool { return string(ip) == id.Data })
	default:
		return refuse(ErrIdentity, "identity %s cannot be in a certificate; use a host name, an address or the certificate's subject", id)
	}
	if !found {
		return refuse(ErrIdentity, "the certificate does not name %s, it has %s; hint: an identity must be among its subject "+
			"alternative names, or be its subject", id, names(cert))
	}
	return nil
}

// reversedHint finds the commonest mistake: the parts in the order of LDAP.
func reversedHint(id ID, cert *x509.Certificate) string {
	want, err := parseDN([]byte(id.Data))
	if err != nil {
		return ""
	}
	have, err := parseDN(cert.RawSubject)
	if err != nil {
		return ""
	}
	slices.Reverse(want)
	if !want.equal(have) {
		return ""
	}
	return "; hint: write the same parts in the certificate's order"
}

// sameHost compares host names: capitals do not matter (RFC 5280 §7.2), and only those of ASCII exist.
func sameHost(a, b string) bool { return len(a) == len(b) && lower(a) == lower(b) }

// sameMailbox compares email addresses: capitals matter before the @ only (RFC 5280 §7.5).
func sameMailbox(a, b string) bool {
	i, j := strings.LastIndexByte(a, '@'), strings.LastIndexByte(b, '@')
	return i > 0 && i == j && a[:i] == b[:j] && sameHost(a[i:], b[j:])
}

// lower leaves everything but A to Z alone.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// names lists what a certificate names, fit for a log whatever is in it.
func names(cert *x509.Certificate) string {
	return strings.Join(append([]string{"subject " + subject(cert)}, altNames(cert)...), ", ")
}

// altNames lists the first of a certificate's subject alternative names.
func altNames(cert *x509.Certificate) (list []string) {
	for _, name := range cert.DNSNames {
		list = append(list, "host "+cut(escape(name)))
	}
	for _, name := range cert.EmailAddresses {
		list = append(list, "email "+cut(escape(name)))
	}
	for _, ip := range cert.IPAddresses {
		list = append(list, "address "+ip.String())
	}
	const most = 5
	if len(list) > most {
		list = append(list[:most], fmt.Sprintf("%d more", len(list)-most))
	}
	return list
}

// issued reports whether cert says that it was issued by issuer; by name only, the signature is another matter.
func issued(issuer, cert *x509.Certificate) bool {
	return string(cert.RawIssuer) == string(issuer.RawSubject)
}

// subject prints a certificate's subject, fit for a log.
func subject(cert *x509.Certificate) string { return printDN(cert.RawSubject) }

// printDN prints a name in DER, fit for a log whatever it is.
func printDN(data []byte) string {
	name, err := parseDN(data)
	if err != nil {
		return "without a readable name"
	}
	return cutTo(maxPrintedDN, name.String())
}
