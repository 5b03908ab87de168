package ikev2

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// withCerts gives both ends certificates of one authority.
func withCerts(l *lab) {
	l.certify(l.a, "ca")
	l.certify(l.b, "ca")
}

// certsIn replaces the CERT payloads of a message.
func certsIn(list []wire.Payload, change func([]*wire.Cert) []*wire.Cert) []wire.Payload {
	var certs []*wire.Cert
	rest := slices.DeleteFunc(slices.Clone(list), func(p wire.Payload) bool {
		c, ok := p.(*wire.Cert)
		if ok {
			certs = append(certs, c)
		}
		return ok
	})
	for _, c := range change(certs) {
		rest = append(rest, c)
	}
	return rest
}

// TestBadCertificatesLookAlike is AUT-04, AUT-05 and N-50: whatever is wrong with what the peer shows, it learns
// AUTHENTICATION_FAILED, in as many octets as for an identity that nobody has (AUT-01), and our own log has the cause. It
// gets to see nothing of ours (AUT-11).
func TestBadCertificatesLookAlike(t *testing.T) {
	edited := func(change func([]wire.Payload) []wire.Payload) func(*lab) {
		return func(l *lab) { l.edit(l.a, change) }
	}
	chain := func(change func([]*wire.Cert) []*wire.Cert) func(*lab) {
		return edited(func(list []wire.Payload) []wire.Payload { return certsIn(list, change) })
	}
	method := func(m wire.AuthMethod) func(*lab) {
		return edited(func(list []wire.Payload) []wire.Payload { find[*wire.Auth](list).Method = m; return list })
	}
	sizes := map[int][]string{}
	for name, c := range map[string]struct {
		set    func(*lab) // before
		change func(*lab) // of IKE_AUTH
		reason session.Reason
		hint   string
	}{
		"unknown identity": {set: func(l *lab) {
			l.a.cfg.LocalID = mustParse("somebody.example")
			l.a.certs().Signers[0] = signerFor(l.t, "ca", "a", "unnamed")
		},
			reason: session.IDMismatch, hint: "says it is somebody.example, we expect a.example"},
		"identity not in the certificate": {set: func(l *lab) {
			l.a.cfg.LocalID = mustParse("somebody.example")
			l.a.certs().Signers[0] = signerFor(l.t, "ca", "a", "unnamed")
		}, change: edited(func(list []wire.Payload) []wire.Payload { find[*wire.ID](list).Data = []byte("a.example"); return list }),
			reason: session.IDMismatch, hint: "does not name a.example, it has subject O=Example, CN=a, host somebody.example"},
		"wrong authority": {set: func(l *lab) { l.a.certs().Signers[0] = signerFor(l.t, "other", "a", "") },
			reason: session.AuthFailed, hint: "not issued by an authority that we trust"},
		"revoked": {set: func(l *lab) {
			l.a.certs().Signers[0] = signerFor(l.t, "ca", "a", "revoked")
			l.b.certs().Trust = trustIn(l.t, "ca", true)
		}, reason: session.AuthFailed, hint: "was revoked by its authority on 2026-11-19"},
		"expired": {change: func(l *lab) { // on the way: its own end would not show it
			expired := signerFor(l.t, "ca", "a", "expired").Payloads()
			chain(func([]*wire.Cert) []*wire.Cert { return expired })(l)
		}, reason: session.AuthFailed, hint: "renew it, or set the clock"},
		"no certificate": {change: chain(func([]*wire.Cert) []*wire.Cert { return nil }), reason: session.AuthFailed, hint: "sent no certificate"},
		"other encoding": {change: chain(func(c []*wire.Cert) []*wire.Cert { c[0].Encoding = 12; return c }), reason: session.AuthFailed, hint: "encoding 12"},
		"not the signer's first": {change: chain(func(c []*wire.Cert) []*wire.Cert {
			return append(signerFor(t, "ca", "b", "").Payloads(), c...)
		}), reason: session.IDMismatch, hint: "does not name a.example"},
		"of another key": {change: func(l *lab) {
			key := keyOf("another")
			cert := makeCert(t, &x509.Certificate{SerialNumber: signerFor(t, "ca", "a", "").Certificate().SerialNumber, DNSNames: []string{"a.example"},
				NotBefore: start.AddDate(0, -1, 0), NotAfter: start.AddDate(0, 1, 0)}, key, "ca")
			chain(func([]*wire.Cert) []*wire.Cert {
				return []*wire.Cert{{Encoding: wire.CertX509Signature, Data: cert.Raw}}
			})(l)
		}, reason: session.AuthFailed, hint: "signature (ed25519) is wrong"},
		"five certificates": {change: chain(func(c []*wire.Cert) []*wire.Cert { return slices.Repeat(c, 5) }), reason: session.AuthFailed, hint: "5 certificates"},
		"garbage":           {change: chain(func(c []*wire.Cert) []*wire.Cert { c[0].Data = []byte("0\x80"); return c }), reason: session.AuthFailed, hint: "cannot be read"},
		"signature cut":     {change: edited(func(list []wire.Payload) []wire.Payload { find[*wire.Auth](list).Data = []byte{9}; return list }), reason: session.AuthFailed, hint: "cut short"},
		"one bit off": {change: edited(func(list []wire.Payload) []wire.Payload {
			data := find[*wire.Auth](list).Data
			data[len(data)-1] ^= 1
			return list
		}), reason: session.AuthFailed, hint: "is wrong"},
		"pre-shared key": {change: method(wire.AuthSharedKey), reason: session.AuthFailed, hint: "we expect its certificate"},
		"null":           {change: method(wire.AuthNull), reason: session.AuthFailed, hint: "is not accepted"},
		"method 0":       {change: method(0), reason: session.AuthFailed, hint: "is not accepted"},
		"DSS":            {change: method(3), reason: session.AuthFailed, hint: "is not accepted"},
		"RSA":            {change: method(wire.AuthRSA), reason: session.AuthFailed, hint: "Ed25519"},
		"ECDSA":          {change: method(wire.AuthECDSA256), reason: session.AuthFailed, hint: "Ed25519"},
	} {
		l := atAuth(t, func(l *lab) {
			withCerts(l)
			if c.set != nil {
				c.set(l)
			}
		})
		if c.change != nil {
			c.change(l)
		}
		l.deliver(l.a)
		sizes[len(l.queued(l.b))] = append(sizes[len(l.queued(l.b))], name)
		if answer := l.peek(l.b); says(answer) != wire.NotifyAuthenticationFailed || len(answer) != 1 || len(find[*wire.Notify](answer).Data) > 0 {
			t.Errorf("%s: b answers {%s}", name, wire.Describe(answer))
		}
		l.settle()
		if failed := l.event(l.b, session.Failed); failed.Reason != c.reason || !strings.Contains(failed.Hint, c.hint) {
			t.Errorf("%s: b says %s: %s", name, failed.Reason, failed.Hint)
		}
		if ups := filter(l.a.events, session.IKEUp); len(ups) > 0 {
			t.Errorf("%s: a is up", name)
		}
		l.mustBeGone()
	}
	if len(sizes) != 1 {
		t.Errorf("the answers have different lengths: %v", sizes)
	}
}

func mustParse(text string) auth.ID {
	id, err := auth.ParseID(text)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return id
}

// TestResponderMustProveItself: an initiator is up only after it has verified the answer (AUT-11, N-50).
func TestResponderMustProveItself(t *testing.T) {
	for name, change := range map[string]func([]wire.Payload) []wire.Payload{
		"no certificate": func(list []wire.Payload) []wire.Payload {
			return certsIn(list, func([]*wire.Cert) []*wire.Cert { return nil })
		},
		"our own certificate": func(list []wire.Payload) []wire.Payload {
			return certsIn(list, func([]*wire.Cert) []*wire.Cert { return signerFor(t, "ca", "a", "").Payloads() })
		},
		"pre-shared key": func(list []wire.Payload) []wire.Payload {
			find[*wire.Auth](list).Method = wire.AuthSharedKey
			return list
		},
		"one bit off": func(list []wire.Payload) []wire.Payload {
			data := find[*wire.Auth](list).Data
			data[len(data)-1] ^= 1
			return list
		},
	} {
		l := atAuth(t, withCerts)
		l.deliver(l.a)
		l.edit(l.b, change)
		l.settle()
		if len(filter(l.a.events, session.IKEUp)) > 0 || len(filter(l.a.events, session.ChildUp)) > 0 {
			t.Errorf("%s: a is up", name)
		}
		l.event(l.a, session.Failed)
		l.mustBeGone()
	}
}

// TestHashesAreCovered is AUT-06 (G-01): who takes SIGNATURE_HASH_ALGORITHMS away, or changes it, gains no weaker
// signature, because AUTH covers it.
func TestHashesAreCovered(t *testing.T) {
	for _, from := range []string{"a", "b"} {
		for name, data := range map[string][]byte{"gone": nil, "one less": {0, 3, 0, 4, 0, 5}, "odd": {0, 2, 0, 5, 0}, "SHA-1 first": {0, 1, 0, 5}} {
			l := newLab(t)
			withCerts(l)
			l.initiate(l.a)
			g := l.a
			if from == "b" {
				l.deliver(l.a)
				g = l.b
			}
			l.editClear(g, func(m *wire.Message) {
				m.Payloads = slices.DeleteFunc(m.Payloads, func(p wire.Payload) bool {
					n, ok := p.(*wire.Notify)
					if ok && n.Kind == wire.NotifySignatureHashAlgorithms {
						n.Data = data
					}
					return ok && n.Kind == wire.NotifySignatureHashAlgorithms && data == nil
				})
			})
			l.settle()
			ups := filter(l.a.events, session.IKEUp)
			if from == "a" { // b was misled, and is the first to notice
				ups = append(ups, filter(l.b.events, session.IKEUp)...)
			}
			if len(ups) > 0 {
				t.Errorf("%s's announcement %s: up\n%s", from, name, l.log.String())
			}
			l.mustBeGone()
		}
	}
}

// TestAnswerWithCertReqIsNotLonger is DOS-05: however many authorities we trust, the answer to an unproven address is no
// longer than its request. What has no room is asked for less exactly (RFC 7296 §3.7).
func TestAnswerWithCertReqIsNotLonger(t *testing.T) {
	var roots []*x509.Certificate
	for _, name := range []string{"ca", "second", "third"} {
		roots = append(roots, makeCA(t, name))
	}
	trust, err := auth.NewTrust(roots, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		more int    // octets of a payload that lengthens the request
		want string // whom the answer asks for
	}{{0, "nothing"}, {4, "nothing"}, {5, "any"}, {64, "any"}, {65, "all"}, {500, "all"}} {
		l := newLab(t)
		withCerts(l)
		l.b.certs().Trust = trust
		l.initiate(l.a)
		if c.more > 0 {
			l.sayClear(l.a, func(m *wire.Message) {
				m.Payloads = append(m.Payloads, &wire.VendorID{Data: make([]byte, c.more-4)})
			})
		}
		request := l.queued(l.a)
		l.deliver(l.a)
		answer := l.queued(l.b)
		m, err := wire.ParseMessage(answer)
		if err != nil {
			t.Fatal(err)
		}
		got := "nothing"
		for _, p := range m.Payloads {
			if ask, ok := p.(*wire.CertReq); ok {
				got = map[int]string{0: "any", 60: "all"}[len(ask.Authorities)]
			}
		}
		if got != c.want || len(answer) > len(request) {
			t.Errorf("%d octets, %d of them to spare: answered with %d, which ask for %q, want %q", len(request), c.more, len(answer), got, c.want)
		}
		l.settle()
		l.paired()
	}
}

// TestPickedByIdentity is R60: peers that may be anywhere are told apart by what their certificates name, a host or a
// distinguished name; each gets its own connection.
func TestPickedByIdentity(t *testing.T) {
	for _, c := range []struct{ id, want string }{
		{"a.example", "lab/host"}, {"O=Example, CN=a", "lab/dn"}, {"CN=a, O=Example", ""}, {"A.example", ""}, {"O=Example, CN=b", ""},
	} {
		l := newLab(t)
		withCerts(l)
		for name, id := range map[string]string{"lab/host": "a.example", "lab/dn": "O=Example,CN=a", "lab/b": "b2.example"} {
			cfg := l.b.cfg
			cfg.Peer, cfg.RemoteID = name, mustParse(id)
			cfg.Auth = auth.Credentials{Certificates: []auth.CertifiedPeer{{Peer: name, Signers: l.b.certs().Signers, Trust: trustIn(t, "ca", false)}}}
			l.b.accepts = append(l.b.accepts, cfg)
		}
		l.a.cfg.LocalID = mustParse(c.id)
		l.initiate(l.a)
		l.settle()
		got := ""
		if up := filter(l.b.events, session.IKEUp); len(up) > 0 {
			got = up[0].Peer
		}
		if got != c.want {
			t.Errorf("%s: %q came up, want %q\n%s", c.id, got, c.want, l.log.String())
		}
	}
}
