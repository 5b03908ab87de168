package ikev2

import (
	"testing"

	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// candidateWith is what b knows of a peer with certificates: whose it believes, who it is and what is behind it.
func candidateWith(l *lab, name, authority string, remote string, network string) Config {
	cfg := l.b.cfg
	cfg.Peer, cfg.RemoteID, cfg.Remote = "lab/"+name, mustParse(remote), prefixes(network)
	cfg.Auth = auth.Credentials{Certificates: []auth.CertifiedPeer{{Peer: cfg.Peer, Signers: l.b.certs().Signers, Trust: trustIn(l.t, authority, false)}}}
	return cfg
}

// TestCertificateOfAnotherPeer is AUT-02 with certificates: what counts is whether the certificate names the identity that
// is claimed and comes from an authority that the connection of that identity trusts, at whatever address.
func TestCertificateOfAnotherPeer(t *testing.T) {
	for _, c := range []struct {
		name      string
		claims    string // as IDi
		authority string // of a's certificate, which names a.example
		fault     string // of a's certificate: "unnamed" names somebody.example
		want      string // the connection that comes up
		reason    session.Reason
	}{
		{"itself", "a.example", "ca", "", "lab/one", ""},
		{"itself, by the authority of the other connection", "a.example", "other", "", "", session.AuthFailed},
		{"the other, by a certificate of its own", "somebody.example", "ca", "", "", session.AuthFailed},
		{"the other, of its authority and with another name", "somebody.example", "other", "", "", session.IDMismatch},
		{"the other, by a certificate that names it, of the wrong authority", "somebody.example", "ca", "unnamed", "", session.AuthFailed},
		{"the other, as it is", "somebody.example", "other", "unnamed", "lab/two", ""},
		{"nobody", "nobody.example", "ca", "", "", session.IDMismatch},
	} {
		for _, order := range []string{"one first", "two first"} {
			l := newLab(t)
			withCerts(l)
			one := candidateWith(l, "one", "ca", "a.example", "10.0.1.0/24")
			two := candidateWith(l, "two", "other", "somebody.example", "10.0.1.0/24")
			if l.b.accepts = []Config{one, two}; order == "two first" {
				l.b.accepts = []Config{two, one}
			}
			l.a.certs().Signers = []*auth.Signer{signerFor(t, c.authority, "a", c.fault)}
			if l.a.cfg.LocalID = mustParse("a.example"); c.fault == "unnamed" {
				l.a.cfg.LocalID = mustParse("somebody.example")
			}
			l.initiate(l.a)
			l.deliver(l.a)
			l.deliver(l.b)
			if l.a.cfg.LocalID != mustParse(c.claims) { // a lies: its own end would not
				l.edit(l.a, func(list []wire.Payload) []wire.Payload { find[*wire.ID](list).Data = []byte(c.claims); return list })
			}
			l.settle()
			got := ""
			if up := filter(l.b.events, session.IKEUp); len(up) > 0 {
				got = up[0].Peer
			}
			if got != c.want {
				t.Errorf("%s, %s: %q came up, want %q\n%s", c.name, order, got, c.want, l.log.String())
			}
			if c.want != "" {
				continue
			}
			if failed := l.event(l.b, session.Failed); failed.Reason != c.reason {
				t.Errorf("%s, %s: b says %s: %s; want %s", c.name, order, failed.Reason, failed.Hint, c.reason)
			}
			l.mustBeGone()
		}
	}
}

// TestTwoTunnelsToOneAddressByCertificate is AUT-12: two connections with peers at one address that are told apart by what
// their certificates name. Each gets its own network and no other's.
func TestTwoTunnelsToOneAddressByCertificate(t *testing.T) {
	for _, c := range []struct{ fault, network, want string }{
		{"", "10.1.1.0/24", "lab/one"}, {"unnamed", "10.1.2.0/24", "lab/two"},
		{"", "10.1.2.0/24", "no child"}, {"unnamed", "10.1.1.0/24", "no child"}, // the network of the other
	} {
		l := newLab(t)
		withCerts(l)
		l.b.accepts = []Config{candidateWith(l, "one", "ca", "a.example", "10.1.1.0/24"), candidateWith(l, "two", "ca", "somebody.example", "10.1.2.0/24")}
		l.a.certs().Signers = []*auth.Signer{signerFor(t, "ca", "a", c.fault)}
		if l.a.cfg.Local = prefixes(c.network); c.fault == "unnamed" {
			l.a.cfg.LocalID = mustParse("somebody.example")
		}
		l.initiate(l.a)
		l.settle()
		got := ""
		if up := filter(l.b.events, session.IKEUp); len(up) > 0 {
			if got = up[0].Peer; l.unpaired() != "" {
				got = "no child"
			}
		}
		if got != c.want {
			t.Errorf("%+v: %q came up", c, got)
		}
		for _, child := range l.b.children {
			if child.Peer != c.want {
				t.Errorf("%+v: a Child SA of %s to %v", c, child.Peer, child.Remote)
			}
		}
		l.mustBeSound()
	}
}
