package ikev2

import (
	"crypto"
	"crypto/x509"
	"math/big"
	"slices"
	"strings"
	"testing"

	"twinbore/esp/protect/vectors"
	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// signatureKey is one of the private keys of ike-signature.txt, by the first word of the case that brings it.
func signatureKey(t testing.TB, word string) crypto.Signer {
	t.Helper()
	for _, c := range vectors.Load(t, "ike-signature.txt") {
		if first, _, _ := strings.Cut(c.Name(), " "); c.Has("private") && first == word {
			key, err := x509.ParsePKCS8PrivateKey(c.Hex(t, "private"))
			if err != nil {
				t.Fatal(err)
			}
			return key.(crypto.Signer)
		}
	}
	t.Fatalf("no key %q", word)
	return nil
}

// signsWith gives g a certificate of "ca" with a key of a kind of its own.
func (l *lab) signsWith(g *gateway, word string) {
	l.t.Helper()
	key := signatureKey(l.t, word)
	cert := makeCert(l.t, &x509.Certificate{SerialNumber: big.NewInt(3), DNSNames: []string{g.name + ".example"},
		NotBefore: start.AddDate(0, -1, 0), NotAfter: start.AddDate(0, 1, 0)}, key, "ca")
	signer, err := auth.NewSigner([]*x509.Certificate{cert}, key)
	if err != nil {
		l.t.Fatal(err)
	}
	g.certs().Signers = []*auth.Signer{signer}
}

// withoutRFC7427 makes g an end that knows the old methods only: it says nothing of hashes in its IKE_SA_INIT, the oldest
// of its messages, and knows of none.
func (l *lab) withoutRFC7427(g *gateway) {
	l.t.Helper()
	l.sayClear(g, func(m *wire.Message) {
		m.Payloads = slices.DeleteFunc(m.Payloads, func(p wire.Payload) bool {
			n, ok := p.(*wire.Notify)
			return ok && n.Kind == wire.NotifySignatureHashAlgorithms
		})
		h := g.saOf(m.Header).handshake
		h.announced, h.hashes = nil, nil
	})
}

// TestPeersThatKnowOldMethodsOnly is G-01 (RFC 7427 §3, RFC 4754, RFC 7296 §3.8): a peer that does not know RFC 7427 is
// believed and answered by AUTH method 1 or 9 to 11, whoever begins; SHA-1, which is what method 1 means to such a peer,
// only where the connection allows it, and then it is told of (A-03, CRY-10).
func TestPeersThatKnowOldMethodsOnly(t *testing.T) {
	for _, c := range []struct {
		key    string
		sha1   bool
		method wire.AuthMethod // 0: there is no way
		weak   bool
	}{
		{"p256", false, wire.AuthECDSA256, false}, {"p384", false, wire.AuthECDSA384, false}, {"p521", false, wire.AuthECDSA521, false},
		{"rsa2048", true, wire.AuthRSA, true}, {"rsa2048", false, 0, false}, {"ed25519", true, 0, false},
	} {
		for _, old := range []string{"a", "b"} {
			l := newLab(t)
			withCerts(l)
			for _, g := range []*gateway{l.a, l.b} {
				l.signsWith(g, c.key)
				g.certs().Policy.InsecureSHA1 = c.sha1
			}
			l.initiate(l.a)
			if old == "a" {
				l.withoutRFC7427(l.a)
			}
			l.deliver(l.a)
			if old == "b" {
				l.withoutRFC7427(l.b)
			}
			l.deliver(l.b)
			if c.method == 0 {
				l.settle()
				if len(filter(l.a.events, session.IKEUp))+len(filter(l.b.events, session.IKEUp)) > 0 {
					t.Errorf("%s, %s is old: an IKE SA is up", c.key, old)
				}
				if failed := l.event(l.a, session.Failed); failed.Reason != session.SecretUnavailable || !strings.Contains(failed.Hint, "RFC 7427") {
					t.Errorf("%s, %s is old: a says %s: %s", c.key, old, failed.Reason, failed.Hint)
				}
				l.mustBeGone()
				continue
			}
			for _, g := range []*gateway{l.a, l.b} {
				if got := find[*wire.Auth](l.peek(g)).Method; got != c.method {
					t.Errorf("%s, %s is old: %s signs by %s, want %s", c.key, old, g.name, got, c.method)
				}
				l.deliver(g)
			}
			l.paired()
			for _, g := range []*gateway{l.a, l.b} {
				if weak := filter(g.events, session.Weak); len(weak) > 0 != c.weak || c.weak && !strings.Contains(weak[0].Hint, "SHA-1") {
					t.Errorf("%s, %s is old: %s says %v", c.key, old, g.name, weak)
				}
			}
			l.unharmed()
		}
	}
}

// Both paddings of RSA are believed whatever we sign with ourselves, and what we sign with is the policy's choice (G-02,
// RFC 8247 §3.2).
func TestEitherPaddingIsBelieved(t *testing.T) {
	for _, mine := range []auth.RSAPadding{auth.PaddingPSS, auth.PaddingPKCS1} {
		for _, theirs := range []auth.RSAPadding{auth.PaddingPSS, auth.PaddingPKCS1} {
			l := newLab(t)
			withCerts(l)
			for g, padding := range map[*gateway]auth.RSAPadding{l.a: mine, l.b: theirs} {
				l.signsWith(g, "rsa2048")
				g.certs().Policy.RSA = padding
			}
			l.initiate(l.a)
			l.deliver(l.a)
			l.deliver(l.b)
			for g, padding := range map[*gateway]auth.RSAPadding{l.a: mine} {
				if pss := len(find[*wire.Auth](l.peek(g)).Data) > 300; pss != (padding == auth.PaddingPSS) {
					t.Errorf("%s signs with PSS: %v", g.name, pss)
				}
			}
			l.settle()
			l.paired()
			if weak := filter(l.a.events, session.Weak); len(weak) > 0 {
				t.Errorf("a calls it weak: %s", weak[0].Hint)
			}
		}
	}
}
