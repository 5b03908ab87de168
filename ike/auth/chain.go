package auth

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of what a peer may send, checked before anything is read (DOS-13).
const (
	MaxPeerCerts = 4       // certificates
	MaxCertLen   = 8 << 10 // octets of each
	maxDepth     = 4       // certificates below the trust anchor, that of the peer included
)

// VerifyChain reads the certificates that a peer sent, DER and its own first (RFC 7296 §3.6), and returns that one if it is
// to be believed at now and names id: signed step by step by authorities up to a trust anchor (RFC 5280 §6), with
// basic constraints, path length, name constraints, key usage, validity and, where lists are configured,
// revocation. Nothing is fetched. The certificate returned shares its octets with chain. The key in the certificate returned is one that VerifySignature works with. Errors are
// an ErrCertificate or an ErrIdentity.
func (t *Trust) VerifyChain(chain [][]byte, now time.Time, id ID) (*x509.Certificate, error) {
	if t == nil {
		return nil, refuse(ErrCertificate, "no trusted authority is configured for this peer")
	}
	if now.IsZero() {
		panic("bug: a certificate is verified at no time")
	}
	certs, err := readChain(chain)
	if err != nil {
		return nil, err
	}
	leaf := certs[0]
	pool := x509.NewCertPool()
	for _, c := range slices.Concat(certs[1:], t.authorities) {
		pool.AddCert(c)
	}
	paths, err := leaf.Verify(x509.VerifyOptions{
		Roots: t.roots, Intermediates: pool, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // ours is checked below: the library does not know IKE's
	})
	if err != nil {
		return nil, explain(err, slices.Concat(certs, t.authorities))
	}
	if err := t.checkPaths(paths, now); err != nil {
		return nil, err
	}
	if err := id.NamedIn(leaf); err != nil {
		return nil, err
	}
	return leaf, nil
}

// readChain applies the limits, then parses.
func readChain(chain [][]byte) ([]*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, refuse(ErrCertificate, "the peer sent no certificate; hint: let it send one always (strongSwan: send_cert = always)")
	}
	if len(chain) > MaxPeerCerts {
		return nil, refuse(ErrCertificate, "the peer sent %d certificates, %d are the limit", len(chain), MaxPeerCerts)
	}
	for _, data := range chain {
		if len(data) > MaxCertLen {
			return nil, refuse(ErrCertificate, "the peer sent a certificate of %d octets, %d are the limit", len(data), MaxCertLen)
		}
	}
	var certs []*x509.Certificate
	for i, data := range chain {
		c, err := x509.ParseCertificate(data)
		if err != nil {
			return nil, refuse(ErrCertificate, "the peer's certificate %d cannot be read: %s", i+1, cut(escape(err.Error())))
		}
		if _, err := checkKey(c.PublicKey); err != nil {
			return nil, refuse(ErrCertificate, "the peer's certificate %s: %v", subject(c), err)
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// checkPaths looks for one path, from the peer to an anchor, that keeps the rules which the library leaves to us. The
// error is that of the first path.
func (t *Trust) checkPaths(paths [][]*x509.Certificate, now time.Time) error {
	var first error
	for _, path := range paths {
		err := t.checkPath(path, now)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (t *Trust) checkPath(path []*x509.Certificate, now time.Time) error {
	leaf := path[0]
	if len(path)-1 > maxDepth {
		return refuse(ErrCertificate, "certificate %s is %d steps below a trusted authority, %d are the limit", subject(leaf), len(path)-1, maxDepth)
	}
	if leaf.IsCA && len(path) > 1 {
		return refuse(ErrCertificate, "certificate %s is that of an authority, not of a gateway", subject(leaf))
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return refuse(ErrCertificate, "certificate %s is not meant for signatures (keyUsage)", subject(leaf))
	}
	uses := purposes(leaf)
	for i, c := range path {
		if uses &= purposes(c); uses == 0 {
			return refuse(ErrCertificate, "certificate %s is meant for something else than IKE (extendedKeyUsage of %s); "+
				"hint: issue it with ipsecIKE, serverAuth or clientAuth", subject(leaf), subject(c))
		}
		if hasForeignConstraints(c) {
			return refuse(ErrCertificate, "authority %s has name constraints of a kind that is not supported, such as on directory names", subject(c))
		}
		if i+1 == len(path) {
			break
		}
		if err := t.checkRevoked(c, path[i+1], now); err != nil {
			return err
		}
	}
	return nil
}

// oidIPsecIKE is id-kp-ipsecIKE (RFC 4945 §5.1.3.12).
var oidIPsecIKE = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 17}

// purposes is the set of purposes a certificate allows of those that are good for IKE, a bit each; a certificate that says
// nothing allows all. What an authority may not do, those below it may not either.
func purposes(c *x509.Certificate) (set uint8) {
	const server, client, ike, all = 1, 2, 4, 7
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return all
	}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageAny:
			set |= all
		case x509.ExtKeyUsageServerAuth:
			set |= server
		case x509.ExtKeyUsageClientAuth:
			set |= client
		}
	}
	if containsOID(c.UnknownExtKeyUsage, oidIPsecIKE) {
		set |= ike
	}
	return set
}

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// hasForeignConstraints finds name constraints that the library does not enforce. Where they are critical it refuses them
// itself; where they wrongly are not, it would pass over them (CVE-2026-35331 was one such).
func hasForeignConstraints(c *x509.Certificate) bool {
	enforced := []der.Tag{1, 2, 6, 7} // email, host, URI, address
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidNameConstraints) {
			continue
		}
		var all cryptobyte.String
		s := cryptobyte.String(e.Value)
		ok := s.ReadASN1(&all, der.SEQUENCE)
		for ok && !all.Empty() {
			var subtrees, subtree, base cryptobyte.String
			var kind der.Tag
			ok = all.ReadAnyASN1(&subtrees, &kind)
			for ok && !subtrees.Empty() {
				ok = subtrees.ReadASN1(&subtree, der.SEQUENCE) && subtree.ReadAnyASN1(&base, &kind) && slices.Contains(enforced, kind&0x1f)
			}
		}
		if !ok {
			return true
		}
	}
	return false
}
