package pkitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An Identity is a certificate with its key.
type Identity struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// An Authority signs certificates and revocation lists; it is valid from a day before now to a year after.
type Authority struct {
	Identity
	serial int64
}

// A Request is what a certificate shall say.
type Request struct {
	Name     string    // common name, besides O=Example
	Hosts    []string  // subject alternative names
	Kind     string    // of the key, as NewKey has it; "" means ecp256
	NotAfter time.Time // zero: in a month
}

// NewKey makes a private key: rsa2048, ecp256, ecp384, ecp521 or ed25519.
func NewKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ecp256", "":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecp384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ecp521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no kind of key %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// New makes an authority whose key is of this kind.
func New(t testing.TB, name, kind string) *Authority {
	t.Helper()
	key := NewKey(t, kind)
	c := authority(name, 1)
	return &Authority{Identity: Identity{certify(t, c, c, key, key), key}, serial: 1}
}

// Below makes an authority that this one vouches for.
func (a *Authority) Below(t testing.TB, name, kind string) *Authority {
	t.Helper()
	a.serial++
	key := NewKey(t, kind)
	return &Authority{Identity: Identity{certify(t, authority(name, a.serial), a.Cert, key, a.Key), key}, serial: 1}
}

func authority(name string, serial int64) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: subject(name), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(1, 0, 0)}
}

// Issue makes a certificate and its key.
func (a *Authority) Issue(t testing.TB, r Request) Identity {
	t.Helper()
	if r.NotAfter.IsZero() {
		r.NotAfter = time.Now().AddDate(0, 1, 0)
	}
	a.serial++
	key := NewKey(t, r.Kind)
	c := &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: subject(r.Name), DNSNames: r.Hosts,
		KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: r.NotAfter.AddDate(0, -2, 0), NotAfter: r.NotAfter}
	return Identity{certify(t, c, a.Cert, key, a.Key), key}
}

func subject(name string) pkix.Name {
	return pkix.Name{Organization: []string{"Example"}, CommonName: name}
}

func certify(t testing.TB, c, parent *x509.Certificate, key, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// WriteCRL writes a list of what the authority has revoked, current until then.
func (a *Authority) WriteCRL(t testing.TB, file string, until time.Time, revoked ...Identity) {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: until.AddDate(0, 0, -30), NextUpdate: until}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.Cert.SerialNumber, RevocationTime: list.ThisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.Key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, 0o644, &pem.Block{Type: "X509 CRL", Bytes: der})
}

// WriteCert writes the certificate in PEM, readable for all, and those above it after it.
func (i Identity) WriteCert(t testing.TB, file string, above ...Identity) {
	t.Helper()
	blocks := []*pem.Block{{Type: "CERTIFICATE", Bytes: i.Cert.Raw}}
	for _, a := range above {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: a.Cert.Raw})
	}
	write(t, file, 0o644, blocks...)
}

// WriteKey writes the key in PEM, PKCS#8, for its owner alone.
func (i Identity) WriteKey(t testing.TB, file string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.Key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func write(t testing.TB, file string, mode os.FileMode, blocks ...*pem.Block) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(file, text, mode); err != nil {
		t.Fatal(err)
	}
}
