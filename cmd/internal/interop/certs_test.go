//go:build interop

package interop

import (
	"fmt"
	"time"

	"twinbore/cmd/internal/pkitest"
)

// doCertificates makes an authority and certificates for both ends: beside twinbore's configuration, and where charon looks
// for its own. The fault is of charon's: wrong-ca, expired, revoked, or unnamed, which names another host.
func (s *scenario) doCertificates(args []string) error {
	kind, fault := args[0], args[1]
	ca := pkitest.New(s.t, "ca", kind)
	issuer := ca
	theirs := pkitest.Request{Name: "b", Hosts: []string{"b.example"}, Kind: kind}
	var revoked []pkitest.Identity
	switch fault {
	case "good", "revoked":
	case "wrong-ca":
		issuer = pkitest.New(s.t, "other", kind)
	case "expired":
		theirs.NotAfter = time.Now().Add(-time.Hour)
	case "unnamed":
		theirs.Hosts = []string{"somebody.example"}
	default:
		return fmt.Errorf("no fault %q", fault)
	}
	a := ca.Issue(s.t, pkitest.Request{Name: "a", Hosts: []string{"a.example"}, Kind: kind})
	b := issuer.Issue(s.t, theirs)
	if fault == "revoked" {
		revoked = append(revoked, b)
	}
	ca.WriteCert(s.t, s.path("ca.pem"))
	ca.WriteCRL(s.t, s.path("ca.crl"), time.Now().Add(time.Hour), revoked...)
	a.WriteCert(s.t, s.path("a.pem"))
	a.WriteKey(s.t, s.path("a.key"))
	dir := s.path("charon-b")
	ca.WriteCert(s.t, dir+"/x509ca/ca.pem")
	b.WriteCert(s.t, dir+"/x509/b.pem")
	b.WriteKey(s.t, dir+"/private/b.key")
	return nil
}
