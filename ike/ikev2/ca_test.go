package ikev2

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"twinbore/ike/auth"
)

// revokedSerial is the certificate that every authority of these tests has revoked.
const revokedSerial = 666

// keyOf is the key that belongs to a name, always the same, so that transcripts are.
func keyOf(name string) ed25519.PrivateKey {
	var seed [ed25519.SeedSize]byte
	copy(seed[:], name)
	return ed25519.NewKeyFromSeed(seed[:])
}

// makeCert makes the certificate of key as c says, signed by the authority of this name.
func makeCert(t testing.TB, c *x509.Certificate, key crypto.Signer, authority string) *x509.Certificate {
	t.Helper()
	parent, signer := c, crypto.Signer(keyOf(authority))
	if !c.IsCA {
		parent = makeCA(t, authority)
	}
	der, err := x509.CreateCertificate(nil, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func makeCA(t testing.TB, name string) *x509.Certificate {
	return makeCert(t, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: start.AddDate(-1, 0, 0), NotAfter: start.AddDate(1, 0, 0)}, keyOf(name), name)
}

// signerFor makes a gateway's certificate, which names NAME.example unless the fault is something about it.
func signerFor(t testing.TB, authority, name, fault string) *auth.Signer {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{Organization: []string{"Example"}, CommonName: name},
		DNSNames: []string{name + ".example"}, NotBefore: start.AddDate(0, -1, 0), NotAfter: start.AddDate(0, 1, 0)}
	switch fault {
	case "expired":
		c.NotAfter = start.Add(-time.Hour)
	case "revoked":
		c.SerialNumber = big.NewInt(revokedSerial)
	case "unnamed":
		c.DNSNames = []string{"somebody.example"}
	}
	key := keyOf(authority + name)
	s, err := auth.NewSigner([]*x509.Certificate{makeCert(t, c, key, authority)}, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func trustIn(t testing.TB, authority string, revoked bool) *auth.Trust {
	t.Helper()
	ca := makeCA(t, authority)
	var lists []*x509.RevocationList
	if revoked {
		der, err := x509.CreateRevocationList(nil, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: start.AddDate(0, 0, -1),
			NextUpdate: start.AddDate(0, 0, 30), RevokedCertificateEntries: []x509.RevocationListEntry{
				{SerialNumber: big.NewInt(revokedSerial), RevocationTime: start.AddDate(0, 0, -2)}}}, ca, keyOf(authority))
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, list)
	}
	trust, err := auth.NewTrust([]*x509.Certificate{ca}, nil, lists)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// certify lets g prove itself by a certificate, and want one of its peer: "AUTHORITY" or "AUTHORITY/FAULT".
func (l *lab) certify(g *gateway, text string) {
	authority, fault, _ := strings.Cut(text, "/")
	var err error
	if g.cfg.LocalID, err = auth.ParseID(g.name + ".example"); err != nil {
		l.t.Fatal(err)
	}
	if g.cfg.RemoteID, err = auth.ParseID(l.other(g).name + ".example"); err != nil {
		l.t.Fatal(err)
	}
	signer := signerFor(l.t, authority, g.name, fault)
	g.cfg.Auth = auth.Credentials{Certificates: []auth.CertifiedPeer{{Peer: g.cfg.Peer, Signers: []*auth.Signer{signer}, Trust: trustIn(l.t, authority, false)}}}
}

// certs is g's credentials to be changed.
func (g *gateway) certs() *auth.CertifiedPeer {
	g.cfg.Auth.Certificates = slices.Clone(g.cfg.Auth.Certificates)
	return &g.cfg.Auth.Certificates[0]
}
