package auth

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"twinbore/ike/wire"
)

// DOS-13: what a peer could send to keep us busy, or to make us fetch, is refused in less than 50 ms, and nobody is called.
func TestChainsThatAreABurden(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	called := make(chan struct{}, 100)
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
			called <- struct{}{}
		}
	}()
	calls := func(c *x509.Certificate) {
		at := "http://" + listener.Addr().String()
		c.IssuingCertificateURL = []string{at + "/ca.der", at + "/ca.p7c"}
		c.OCSPServer = []string{at + "/ocsp"}
		c.CRLDistributionPoints = []string{at + "/crl.der"}
	}

	root := authority(t, nil, "root")
	missing := authority(t, root, "missing")
	deep := []*entity{root}
	for i := range 50 {
		deep = append(deep, authority(t, deep[i], fmt.Sprint("step ", i)))
	}
	down := []*entity{gateway(t, deep[50])}
	for i := 50; i > 0; i-- {
		down = append(down, deep[i])
	}
	hundred := make([]*entity, 100)
	for i := range hundred {
		hundred[i] = deep[1]
	}
	modulus := new(big.Int).SetBit(big.NewInt(1), 16383, 1)
	giant := certify(t, root, publicOnly{&rsa.PublicKey{N: modulus, E: 65537}, root.key}, "gw", withNames)
	pad := func(n int) change {
		return func(c *x509.Certificate) {
			for i := range n {
				c.DNSNames = append(c.DNSNames, fmt.Sprintf("host-%04d.many.names.of.a.gateway.example", i))
			}
		}
	}
	// Authorities that all have one name and have signed each other, with a key each: every order of them is a path to try.
	ring := []*entity{authority(t, nil, "ring"), authority(t, nil, "ring"), authority(t, nil, "ring")}
	web := []*entity{gateway(t, ring[0])}
	for i := range ring {
		again := certify(t, ring[(i+1)%3], ring[i].key, "ring", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
		web = append(web, again)
	}
	constrained := authority(t, nil, "strict", func(c *x509.Certificate) {
		for i := range 200 {
			c.PermittedDNSDomains = append(c.PermittedDNSDomains, fmt.Sprintf("h%d.example", i))
		}
	})

	trust := trusting(t, root)
	within, err := NewTrust(certs(root), certs(deep[1:47]...), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		trust *Trust
		chain [][]byte
	}{
		"100 certificates":                   {trust, sent(append([]*entity{gateway(t, root)}, hundred...)...)},
		"a chain of 50":                      {trust, sent(down...)},
		"a chain of 50, most of it ours":     {within, sent(down[:4]...)},
		"RSA-16384":                          {trust, sent(giant)},
		"RSA-16384 above":                    {trust, sent(gateway(t, root), giant)},
		"a certificate of 8 kB and an octet": {trust, [][]byte{make([]byte, MaxCertLen+1)}},
		"a certificate of 64 kB":             {trust, sent(gateway(t, root, pad(1500)))},
		"authorities in a ring":              {trust, sent(web...)},
		"a thousand comparisons of names":    {trust, sent(gateway(t, constrained, pad(150)), constrained)},
		"addresses to fetch from":            {trust, sent(gateway(t, missing, calls))},
		"8 kB of open brackets":              {trust, [][]byte{brackets(MaxCertLen)}},
	} {
		t.Run(name, func(t *testing.T) {
			took := time.Hour
			for range 5 { // the quickest of five, so that a busy machine does not count
				began := time.Now()
				_, err := c.trust.VerifyChain(c.chain, noon, mustID(t, "gw.example"))
				took = min(took, time.Since(began))
				if !errors.Is(err, ErrCertificate) {
					t.Errorf("error is %v", err)
				}
			}
			if took > 50*time.Millisecond {
				t.Errorf("took %v, 50 ms are the limit", took)
			}
		})
	}

	var many []*wire.Cert
	for range 100 {
		many = append(many, &wire.Cert{Encoding: wire.CertX509Signature, Data: root.cert.Raw})
	}
	err = (&CertifiedPeer{Trust: trust}).Verify(noon, mustID(t, "gw.example"), many, &wire.Auth{Method: 14}, nil, Hashes())
	wantRefusal(t, err, ErrCertificate, "100 certificates")

	// A good certificate full of addresses is believed, with nobody asked either.
	calling := gateway(t, root, calls)
	trust, err = NewTrust(certs(root), nil, crls(t, root, day(0)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.VerifyChain(sent(calling), noon, mustID(t, "gw.example")); err != nil {
		t.Error(err)
	}
	listener.Close()
	<-accepting
	if len(called) > 0 {
		t.Errorf("%d calls to addresses in certificates", len(called))
	}
}

// brackets is n octets of sequences within sequences.
func brackets(n int) []byte {
	b := make([]byte, 0, n)
	for len(b)+4 <= n {
		left := n - len(b) - 4
		b = append(b, 0x30, 0x82, byte(left>>8), byte(left))
	}
	return b
}
