//go:build interop

package interop

import (
	"fmt"
	"time"

	"twinbore/cmd/internal/pkitest"
)

// doCertificates makes an authority and certificates for both ends: beside twinbore's configuration, and where charon looks
// for its own. What they are like: good, or chain, where each end's has an authority of its own below the one that both trust; or
// with a fault in charon's: wrong-ca, expired, revoked, or unnamed, which names another host.
func (s *scenario) doCertificates(args []string) error {
	kind, like := args[0], args[1]
	ca := pkitest.New(s.t, "ca", kind)
	ourIssuer, issuer := ca, ca
	theirs := pkitest.Request{Name: "b", Hosts: []string{"b.example"}, Kind: kind}
	var revoked []pkitest.Identity
	switch like {
	case "good", "revoked":
	case "chain":
		ourIssuer, issuer = ca.Below(s.t, "ca-a", kind), ca.Below(s.t, "ca-b", kind)
	case "wrong-ca":
		issuer = pkitest.New(s.t, "other", kind)
	case "expired":
		theirs.NotAfter = time.Now().Add(-time.Hour)
	case "unnamed":
		theirs.Hosts = []string{"somebody.example"}
	default:
		return fmt.Errorf("no certificates %q", like)
	}
	a := ourIssuer.Issue(s.t, pkitest.Request{Name: "a", Hosts: []string{"a.example"}, Kind: kind})
	b := issuer.Issue(s.t, theirs)
	if like == "revoked" {
		revoked = append(revoked, b)
	}
	ca.WriteCert(s.t, s.path("ca.pem"))
	ca.WriteCRL(s.t, s.path("ca.crl"), time.Now().Add(time.Hour), revoked...)
	a.WriteCert(s.t, s.path("a.pem"), above(ca, ourIssuer)...)
	a.WriteKey(s.t, s.path("a.key"))
	dir := s.path("charon-b")
	ca.WriteCert(s.t, dir+"/x509ca/ca.pem")
	for _, authority := range above(ca, issuer) {
		authority.WriteCert(s.t, dir+"/x509ca/below.pem")
	}
	b.WriteCert(s.t, dir+"/x509/b.pem")
	b.WriteKey(s.t, dir+"/private/b.key")
	return nil
}

// above is what stands between an issuer's certificates and ca: the issuer, or nothing. An authority that neither end
// trusts vouches for itself.
func above(ca, issuer *pkitest.Authority) []pkitest.Identity {
	if issuer == ca || issuer.Cert.Issuer.CommonName != ca.Cert.Subject.CommonName {
		return nil
	}
	return []pkitest.Identity{issuer.Identity}
}
