package auth

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"twinbore/ike/wire"
)

// A meeting is two gateways that trust one authority: "gw" is the peer, "hq" is us.
type meeting struct {
	root, gw, hq *entity
	peer         CertifiedPeer // the peer as we know it, with our certificate
	signer       *Signer       // the peer's
}

func meet(t testing.TB) meeting {
	t.Helper()
	root := authority(t, nil, "root")
	gw := gateway(t, root)
	hq := certify(t, root, newKey(t), "hq", func(c *x509.Certificate) { c.DNSNames = []string{"hq.example"} })
	theirs, err := NewSigner(certs(gw), gw.key)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := NewSigner(certs(hq), hq.key)
	if err != nil {
		t.Fatal(err)
	}
	return meeting{root, gw, hq, CertifiedPeer{Peer: "line/1", Signers: []*Signer{ours}, Trust: trusting(t, root)}, theirs}
}

// The sequence of doc.go: what one end signs and sends, the other believes.
func TestTwoGatewaysMeet(t *testing.T) {
	m := meet(t)
	octets := []byte("octets")
	for name, hashes := range map[string][]Hash{"RFC 7427": Hashes(), "old methods": nil} {
		id, err := m.signer.Identity(mustID(t, "gw.example"))
		if err != nil {
			t.Fatal(err)
		}
		proof, err := m.signer.Sign(nil, octets, hashes, Policy{})
		if err != nil {
			t.Fatal(err)
		}
		claimed, err := FromWire(id.Wire(true))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.peer.Verify(noon, claimed, m.signer.Payloads(), proof, octets, hashes); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// AUT-04, AUT-05, N-50: what does not prove the identity.
func TestPeerIsRefused(t *testing.T) {
	m := meet(t)
	octets := []byte("octets")
	id := mustID(t, "gw.example")
	proof, err := m.signer.Sign(nil, octets, Hashes(), Policy{})
	if err != nil {
		t.Fatal(err)
	}
	good := m.signer.Payloads()
	cert := func(encoding wire.CertEncoding, e *entity) *wire.Cert {
		return &wire.Cert{Encoding: encoding, Data: e.cert.Raw}
	}
	twin := gateway(t, m.root) // the same names, another key
	for name, c := range map[string]struct {
		id    ID
		certs []*wire.Cert
		proof *wire.Auth
		kind  error
		says  string
	}{
		"first CERT not the signer":      {id, []*wire.Cert{cert(4, twin), good[0]}, proof, ErrSignature, "another key than its certificate says"},
		"the signer's CERT second":       {mustID(t, "hq.example"), []*wire.Cert{cert(4, m.hq), good[0]}, proof, ErrSignature, "another key"},
		"another's name":                 {mustID(t, "hq.example"), good, proof, ErrIdentity, "host gw.example"},
		"no certificate":                 {id, nil, proof, ErrCertificate, "no certificate"},
		"PKCS#7 for X.509":               {id, []*wire.Cert{cert(1, m.gw)}, proof, ErrCertificate, "encoding 1"},
		"hash and URL":                   {id, []*wire.Cert{cert(12, m.gw)}, proof, ErrCertificate, "encoding 12"},
		"a raw key":                      {id, []*wire.Cert{cert(15, m.gw)}, proof, ErrCertificate, "encoding 15"},
		"a list besides":                 {id, append(m.signer.Payloads(), cert(7, m.gw)), proof, ErrCertificate, "encoding 7"},
		"five certificates":              {id, []*wire.Cert{good[0], good[0], good[0], good[0], good[0]}, proof, ErrCertificate, "sent 5 certificates, 4 are the limit"},
		"a PSK proof":                    {id, good, &wire.Auth{Method: wire.AuthSharedKey, Data: make([]byte, 32)}, ErrSignature, "pre-shared key"},
		"NULL authentication":            {id, good, &wire.Auth{Method: wire.AuthNull, Data: proof.Data}, ErrSignature, "NULL"},
		"no method":                      {id, good, &wire.Auth{Data: proof.Data}, ErrSignature, "AUTH_0"},
		"an empty proof":                 {id, good, &wire.Auth{Method: 14}, ErrSignature, "cut short"},
		"nobody":                         {ID{}, good, proof, ErrIdentity, "nobody"},
		"the common name as a host name": {mustID(t, "gw"), good, proof, ErrIdentity, "subject alternative names"},
	} {
		t.Run(name, func(t *testing.T) {
			err := m.peer.Verify(noon, c.id, c.certs, c.proof, octets, Hashes())
			wantRefusal(t, err, c.kind, c.says)
		})
	}
	late := m.peer.Verify(noon.Add(2*year), id, good, proof, octets, Hashes())
	wantRefusal(t, late, ErrCertificate, "valid from")
	if err := (&CertifiedPeer{Peer: "x"}).Verify(noon, id, good, proof, octets, Hashes()); err == nil {
		t.Error("a peer without a trust believes")
	}
	if bytes.Equal(good[0].Data, nil) || &good[0].Data[0] == &m.gw.cert.Raw[0] {
		t.Error("the payload shares its octets with the certificate")
	}
}

func TestCredentialsOfPeers(t *testing.T) {
	m := meet(t)
	c := Credentials{Secrets: []Secret{{Peer: "hq/1", Key: []byte("swordfish")}}, Certificates: []CertifiedPeer{m.peer}}
	if got := c.Certified("line/1"); got == nil || got.Peer != "line/1" {
		t.Errorf("line/1 is %v", got)
	}
	for _, peer := range []string{"hq/1", "line/2", "line", ""} {
		if got := c.Certified(peer); got != nil {
			t.Errorf("%q is %v", peer, got)
		}
	}
	if (Credentials{}).Certified("line/1") != nil {
		t.Error("no credentials know line/1")
	}
	if c.PSKs("line/1", noon) != nil {
		t.Error("a peer by certificate has a pre-shared key")
	}
	if text := fmt.Sprintf("%v %+v %s", c, c, c); !strings.Contains(text, "line/1 by certificate") || strings.Contains(text, "swordfish") {
		t.Errorf("shown as %s", text)
	}
}

// Our own identity is what our certificate says, in its octets (N-53).
func TestIdentityOfOurs(t *testing.T) {
	m := meet(t)
	s := m.signer
	own := dnID(m.gw.cert.RawSubject)
	for text, want := range map[string]ID{
		"gw.example":             mustID(t, "gw.example"),
		"203.0.113.10":           mustID(t, "203.0.113.10"),
		"GW.Example":             mustID(t, "GW.Example"),
		"C=CH, O=Example, CN=gw": own,
		"CN=gw, O=Example, C=CH": {},
		"hq.example":             {},
		"gw":                     {},
		"keyid:gw":               {},
		"ops@gw.example":         mustID(t, "ops@gw.example"),
		"ops@GW.example":         mustID(t, "ops@GW.example"),
		"Ops@gw.example":         {},
		"2001:db8::10":           mustID(t, "2001:db8::10"),
		"2001:db8::11":           {},
		"email:o@gw.example":     {},
		"fqdn:*.example":         {},
	} {
		got, err := s.Identity(mustID(t, text))
		if got != want || (err == nil) != (want != ID{}) {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	if got, err := s.Identity(ID{}); err != nil || got != own {
		t.Errorf("without one configured: %s, %v; want the subject", got, err)
	}
	if parsed := mustID(t, "C=CH, O=Example, CN=gw"); parsed == own {
		t.Error("the test shows nothing: both encodings are the same")
	}
}

// Names in a certificate are compared as octets of ASCII: no letter of another alphabet passes for one.
func TestNamesThatLookAlike(t *testing.T) {
	cert := &x509.Certificate{DNSNames: []string{"kgw.example", "*.wild.example", "dot.example."}, EmailAddresses: []string{"o@k.example"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1).To16()}}
	for _, c := range []struct {
		kind wire.IDType
		data string
		ok   bool
	}{
		{wire.IDFQDN, "kgw.example", true},
		{wire.IDFQDN, "KGW.EXAMPLE", true},
		{wire.IDFQDN, "\u212agw.example", false}, // KELVIN SIGN, which folds to k
		{wire.IDFQDN, "kgw.example\x00", false},
		{wire.IDFQDN, "kgw.example.", false},
		{wire.IDFQDN, "xkgw.example", false},
		{wire.IDFQDN, "", false},
		{wire.IDFQDN, "a.wild.example", false},
		{wire.IDFQDN, "*.wild.example", true},
		{wire.IDFQDN, "dot.example", false},
		{wire.IDRFC822, "o@K.example", true},
		{wire.IDRFC822, "O@k.example", false},
		{wire.IDRFC822, "@k.example", false},
		{wire.IDRFC822, "k.example", false},
		{wire.IDIPv4, "\xc0\x00\x02\x01", false}, // the certificate has it in the form of IPv6
		{wire.IDDERASN1GN, "kgw.example", false},
		{wire.IDType(99), "kgw.example", false},
		{wire.IDDERASN1DN, "", false},
		{wire.IDDERASN1DN, "\x30\x00", false},
	} {
		err := ID{c.kind, c.data}.NamedIn(cert)
		if (err == nil) != c.ok {
			t.Errorf("%s %q: %v", c.kind, c.data, err)
		}
		if err != nil {
			wantRefusal(t, err, ErrIdentity, "")
		}
	}
}

// MAL-14: a certificate's names are shown so that they do no harm, and not all of a thousand.
func TestHostileNamesAreShown(t *testing.T) {
	root := authority(t, nil, "root")
	bad := certify(t, root, newKey(t), "\x1b[2Jgw\n$(id)", func(c *x509.Certificate) {
		for i := range 300 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("\x1b[1m%d", i))
		}
		c.URIs = []*url.URL{{Scheme: "http", Host: "x"}}
	})
	_, err := trusting(t, root).VerifyChain(sent(bad), noon, mustID(t, "gw.example"))
	wantRefusal(t, err, ErrIdentity, `CN=\1B[2Jgw\0A$(id)`)
	wantRefusal(t, err, ErrIdentity, "295 more")
	if text := err.Error(); len(text) > 600 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%d letters: %q", len(text), text)
	}
}

// CERTREQ names authorities by SHA-1 of their SubjectPublicKeyInfo (RFC 7296 §3.7).
func TestCertReq(t *testing.T) {
	one, two, three := authority(t, nil, "one"), authority(t, nil, "two"), authority(t, nil, "three")
	req := CertReq(trusting(t, one, two, one), nil, trusting(t, two, three))
	id1, id2, id3 := keyID(one.cert), keyID(two.cert), keyID(three.cert)
	want := append(append(id1[:], id2[:]...), id3[:]...)
	if req.Encoding != 4 || !bytes.Equal(req.Authorities, want) {
		t.Errorf("CERTREQ is %d %x, want 4 %x", req.Encoding, req.Authorities, want)
	}
	if got := CertReq(nil); got != nil {
		t.Errorf("nobody is trusted, and asked for: %v", got)
	}
	if got := CertReq(); got != nil {
		t.Errorf("nobody is trusted, and asked for: %v", got)
	}
}

// Of several certificates the one is shown that the peer can use and asks for; else the first.
func TestSignerForThePeer(t *testing.T) {
	rootA, rootB := authority(t, nil, "a"), authority(t, nil, "b")
	middle := authority(t, rootB, "middle")
	make1 := func(issuer *entity, above []*entity, changes ...change) *Signer {
		e := gateway(t, issuer, changes...)
		s, err := NewSigner(certs(append([]*entity{e}, above...)...), e.key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ed := signerOf(t, loadKeys(t)["ed25519"])
	a, b, viaMiddle := make1(rootA, nil), make1(rootB, nil), make1(middle, []*entity{middle})
	over := make1(rootA, nil, func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) })
	soon := make1(rootA, nil, func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) })
	last := make1(rootA, nil, func(c *x509.Certificate) { c.NotAfter = noon })
	trust := trusting(t, rootA, rootB)
	ask := func(list ...*entity) []*wire.CertReq { return []*wire.CertReq{CertReq(trusting(t, list...))} }
	for name, c := range map[string]struct {
		have   []*Signer
		reqs   []*wire.CertReq
		hashes []Hash
		trust  *Trust
		want   *Signer
		says   string
	}{
		"no wish":                            {[]*Signer{a, b}, nil, nil, trust, a, ""},
		"the first is wished":                {[]*Signer{a, b}, ask(rootA), nil, trust, a, ""},
		"the second is wished":               {[]*Signer{a, b}, ask(rootB), nil, trust, b, ""},
		"either is wished":                   {[]*Signer{a, b}, ask(rootB, rootA), nil, trust, a, ""},
		"the wish is the one in between":     {[]*Signer{a, viaMiddle}, ask(middle), nil, nil, viaMiddle, ""},
		"the wish is above that":             {[]*Signer{a, viaMiddle}, ask(rootB), nil, trust, viaMiddle, ""},
		"the same in the second CERTREQ":     {[]*Signer{a, viaMiddle}, append([]*wire.CertReq{{Encoding: 4}}, ask(rootB)...), nil, trust, viaMiddle, ""},
		"nobody has what is wished":          {[]*Signer{b, a}, ask(middle), nil, trust, b, ""},
		"a wish in another encoding":         {[]*Signer{a, b}, []*wire.CertReq{{Encoding: 12, Authorities: ask(rootB)[0].Authorities}}, nil, trust, a, ""},
		"a broken wish":                      {[]*Signer{a, b}, []*wire.CertReq{{Encoding: 4, Authorities: ask(rootB)[0].Authorities[:19]}}, nil, trust, a, ""},
		"the first is over":                  {[]*Signer{over, b}, ask(rootA), nil, trust, b, ""},
		"the first begins soon":              {[]*Signer{soon, a}, nil, nil, trust, a, ""},
		"its last second":                    {[]*Signer{last, a}, nil, nil, trust, last, ""},
		"the peer does not know Ed25519":     {[]*Signer{ed, a}, nil, nil, trust, a, ""},
		"the peer knows Ed25519":             {[]*Signer{ed, a}, nil, Hashes(), trust, ed, ""},
		"none":                               {nil, nil, nil, trust, nil, "no certificate of ours is configured"},
		"all are over":                       {[]*Signer{over, soon}, nil, nil, trust, nil, "2026-06-01T11:59:59Z"},
		"the peer can verify none":           {[]*Signer{ed}, nil, nil, trust, nil, "RFC 7427"},
		"a thousand wishes, the last counts": {[]*Signer{a, b}, []*wire.CertReq{{Encoding: 4, Authorities: append(make([]byte, 20*255), ask(rootB)[0].Authorities...)}}, nil, trust, b, ""},
		"more wishes than are looked at":     {[]*Signer{a, b}, []*wire.CertReq{{Encoding: 4, Authorities: append(make([]byte, 20*256), ask(rootB)[0].Authorities...)}}, nil, trust, a, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := CertifiedPeer{Peer: "line/1", Signers: c.have, Trust: c.trust}
			got, err := p.Signer(noon, c.reqs, c.hashes)
			if got != c.want {
				t.Errorf("another one was picked: %v, %v", got, err)
			}
			if c.want == nil {
				wantRefusal(t, err, ErrNoSigner, c.says)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
