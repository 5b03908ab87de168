package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// noon is now in these tests: certificates are valid from a year before to a year after it.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const year = 365 * 24 * time.Hour

// An entity is a certificate with its key: an authority or a gateway.
type entity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

type change func(*x509.Certificate)

var serials = int64(100)

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certify makes a certificate for key, by issuer or, if that is nil, by itself.
func certify(t testing.TB, issuer *entity, key crypto.Signer, name string, changes ...change) *entity {
	t.Helper()
	serials++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serials),
		Subject:      pkix.Name{Country: []string{"CH"}, Organization: []string{"Example"}, CommonName: name},
		NotBefore:    noon.Add(-year), NotAfter: noon.Add(year),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, change := range changes {
		change(c)
	}
	parent, signer := c, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	data, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(data)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{cert, key}
}

// authority makes one that may sign certificates and lists.
func authority(t testing.TB, issuer *entity, name string, changes ...change) *entity {
	ca := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	return certify(t, issuer, newKey(t), name, append([]change{ca}, changes...)...)
}

// gateway makes one that is "gw.example", "ops@gw.example", 203.0.113.10 and 2001:db8::10.
func gateway(t testing.TB, issuer *entity, changes ...change) *entity {
	return certify(t, issuer, newKey(t), "gw", append([]change{withNames}, changes...)...)
}

func withNames(c *x509.Certificate) {
	c.DNSNames = []string{"gw.example"}
	c.EmailAddresses = []string{"ops@gw.example"}
	c.IPAddresses = []net.IP{net.IPv4(203, 0, 113, 10).To4(), net.ParseIP("2001:db8::10")}
}

// sent is the chain as a peer sends it.
func sent(list ...*entity) (chain [][]byte) {
	for _, e := range list {
		chain = append(chain, e.cert.Raw)
	}
	return chain
}

func certs(list ...*entity) (all []*x509.Certificate) {
	for _, e := range list {
		all = append(all, e.cert)
	}
	return all
}

func trusting(t testing.TB, roots ...*entity) *Trust {
	t.Helper()
	trust, err := NewTrust(certs(roots...), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func mustID(t testing.TB, text string) ID {
	t.Helper()
	id, err := ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// wantRefusal checks that err is of kind and says what.
func wantRefusal(t *testing.T, err, kind error, says string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, want one that is: %v", err, kind)
	} else if !strings.Contains(err.Error(), says) {
		t.Errorf("error is %q, want in it %q", err, says)
	}
}
