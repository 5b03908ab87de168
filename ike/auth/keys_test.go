package auth

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

func inPEM(kind string, data []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
}

func TestParsePrivateKey(t *testing.T) {
	pkcs8 := func(key any) []byte {
		data, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	cert := inPEM("CERTIFICATE", authority(t, nil, "root").cert.Raw)
	for word, key := range loadKeys(t) {
		forms := map[string][]byte{"PKCS#8": inPEM("PRIVATE KEY", pkcs8(key))}
		switch k := key.(type) {
		case *rsa.PrivateKey:
			forms["PKCS#1"] = inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k))
		case *ecdsa.PrivateKey:
			data, err := x509.MarshalECPrivateKey(k)
			if err != nil {
				t.Fatal(err)
			}
			forms["SEC1"] = inPEM("EC PRIVATE KEY", data)
			forms["SEC1 as openssl writes it"] = append(inPEM("EC PARAMETERS", []byte("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")), forms["SEC1"]...)
		}
		forms["with its certificate before it"] = append(bytes.Clone(cert), forms["PKCS#8"]...)
		forms["with text around it"] = append([]byte("our key:\n"), append(bytes.Clone(forms["PKCS#8"]), "end\n"...)...)
		for form, text := range forms {
			got, err := ParsePrivateKey(text)
			if err != nil {
				t.Errorf("%s, %s: %v", word, form, err)
			} else if !samePublicKey(got.Public(), key.Public()) {
				t.Errorf("%s, %s: another key came out", word, form)
			}
		}
	}

	weak, err := x509.ParsePKCS1PrivateKey(weakRSA(t))
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := inPEM("PRIVATE KEY", pkcs8(loadKeys(t)["p256"]))
	legacy := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("canary"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}})
	for name, c := range map[string]struct {
		text []byte
		says string
	}{
		"nothing":                 {nil, "none in PEM form"},
		"a certificate":           {cert, "none in PEM form"},
		"DER":                     {pkcs8(weak), "none in PEM form"},
		"two keys":                {append(bytes.Clone(good), good...), "more than one"},
		"encrypted PKCS#8":        {inPEM("ENCRYPTED PRIVATE KEY", []byte("canary")), "openssl pkey"},
		"encrypted PKCS#1":        {legacy, "openssl pkey"},
		"OpenSSH":                 {inPEM("OPENSSH PRIVATE KEY", []byte("canary")), `"OPENSSH PRIVATE KEY"; hint: bring it into PKCS#8`},
		"garbage":                 {inPEM("PRIVATE KEY", []byte("canary")), "no key that can be read"},
		"SEC1 said, PKCS#8 meant": {inPEM("EC PRIVATE KEY", pkcs8(p224)), "no key that can be read"},
		"RSA of 1024 bits":        {inPEM("PRIVATE KEY", pkcs8(weak)), "RSA key of 1024 bits"},
		"ECDSA on P-224":          {inPEM("PRIVATE KEY", pkcs8(p224)), "another curve"},
		"X25519":                  {inPEM("PRIVATE KEY", pkcs8(agreement)), "cannot sign"},
	} {
		key, err := ParsePrivateKey(c.text)
		if err == nil {
			t.Errorf("%s: %T", name, key)
		} else if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: error is %q, want in it %q", name, err, c.says)
		}
	}
}

// weakRSA is a key that nobody should use, by openssl genrsa 1024.
func weakRSA(t *testing.T) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(weakRSAText))
	if block == nil {
		t.Fatal("no PEM block")
	}
	return block.Bytes
}

func TestParseCertificatesAndCRLs(t *testing.T) {
	root := authority(t, nil, "root")
	other := authority(t, nil, "other")
	list := crl(t, root, noon, func(*x509.RevocationList) {})
	both := append(inPEM("CERTIFICATE", root.cert.Raw), inPEM("CERTIFICATE", other.cert.Raw)...)
	for name, c := range map[string]struct {
		text []byte
		want int
	}{
		"one":                  {inPEM("CERTIFICATE", root.cert.Raw), 1},
		"DER":                  {root.cert.Raw, 1},
		"two":                  {both, 2},
		"two and a list":       {append(bytes.Clone(both), inPEM("X509 CRL", list.Raw)...), 2},
		"with text before":     {append([]byte("subject=CN = root\n"), both...), 2},
		"with text after":      {append(bytes.Clone(both), "end\n"...), 2},
		"nothing":              {nil, 0},
		"text":                 {[]byte("hello"), 0},
		"a list":               {inPEM("X509 CRL", list.Raw), 0},
		"a list in DER":        {list.Raw, 0},
		"garbage in PEM":       {inPEM("CERTIFICATE", []byte("garbage")), 0},
		"one, then garbage":    {append(bytes.Clone(both), inPEM("CERTIFICATE", []byte("garbage"))...), 0},
		"DER and an octet":     {append(bytes.Clone(root.cert.Raw), 0), 0},
		"a trusted one of X.5": {inPEM("TRUSTED CERTIFICATE", root.cert.Raw), 0},
	} {
		got, err := ParseCertificates(c.text)
		if len(got) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %d certificates, %v; want %d", name, len(got), err, c.want)
		}
	}
	for name, text := range map[string][]byte{"PEM": inPEM("X509 CRL", list.Raw), "DER": list.Raw} {
		if got, err := ParseCRLs(text); err != nil || len(got) != 1 {
			t.Errorf("%s: %d lists, %v", name, len(got), err)
		}
	}
	if got, err := ParseCRLs(both); err == nil {
		t.Errorf("%d lists in a file of certificates", len(got))
	}
}

// A signer is a certificate and the key that belongs to it; it goes out with what is above it.
func TestNewSigner(t *testing.T) {
	root := authority(t, nil, "root")
	middle := authority(t, root, "middle")
	gw := gateway(t, middle)
	for name, list := range map[string][]*entity{
		"in order":      {gw, middle},
		"turned round":  {middle, gw},
		"with the root": {gw, middle, root},
		"root first":    {root, middle, gw},
	} {
		s, err := NewSigner(certs(list...), gw.key)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		payloads := s.Payloads()
		if len(payloads) != 2 || !bytes.Equal(payloads[0].Data, gw.cert.Raw) || !bytes.Equal(payloads[1].Data, middle.cert.Raw) ||
			payloads[0].Encoding != 4 || payloads[1].Encoding != 4 {
			t.Errorf("%s: what goes out is %v, want the gateway's and the one above it, encoding 4", name, payloads)
		}
		if s.String() != "C=CH, O=Example, CN=gw" || fmt.Sprintf("%v %+v %#v", s, s, s) != strings.Repeat(" "+s.String(), 3)[1:] {
			t.Errorf("%s: shown as %v %+v %#v", name, s, s, s)
		}
	}
	self := certify(t, nil, newKey(t), "self", withNames)
	if s, err := NewSigner(certs(self), self.key); err != nil || len(s.Payloads()) != 1 {
		t.Errorf("self-signed: %v, %v", s, err)
	}

	long := make([]*entity, 5)
	for i := range long {
		long[i] = middle
	}
	fat := gateway(t, root, func(c *x509.Certificate) {
		c.Issuer.CommonName = ""
		c.DNSNames = append(c.DNSNames, strings.Repeat("x", MaxCertLen))
	})
	for name, c := range map[string]struct {
		list []*entity
		by   *entity
		says string
	}{
		"nothing":       {nil, gw, "do not belong together"},
		"another's key": {[]*entity{gw, middle}, self, "do not belong together"},
		"too many":      {append([]*entity{gw}, long...), gw, "3 are the limit"},
		"too large":     {[]*entity{fat}, fat, "8192 are the limit"},
	} {
		if _, err := NewSigner(certs(c.list...), c.by.key); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error is %v, want in it %q", name, err, c.says)
		}
	}
	if _, err := NewSigner(nil, publicOnly{nil, gw.key}); err == nil {
		t.Error("a key of no kind was taken")
	}
}

const weakRSAText = `-----BEGIN RSA PRIVATE KEY-----
MIICXAIBAAKBgQC7tgAeUnDAqoPWX17UxnDxHRMip9fBHtg5NAK4iqPXj+0k/qGp
SdJ58quefPQR/Awbq036z6x7GiMs7OkZSYf+RyxWhDkmozLoA3TAmwVsJaL6B2aG
8LiLfDr79vnMpSXxLqeKbzEQ6k81ibiWQd9Bm+6wRVZpjBT1/Xqhl7PuKQIDAQAB
AoGAS12alJITFTghMMwf3hxCsnwy96IeHTrOI8F/Kir394+g7k6SB89NA4tsXnja
4fGpxt4zs/T30oE/CEWinXWJdN1H9mOj8tKqPGcT+xRGOSmquo0fWNI7ieoz01KL
IFSBx010XhgZDJFbZGP6jGiHM6bqe4HQPtdUm4/nEavff9ECQQDm8B/TXlGc93YN
0LYa7MJNUls8756dETY48ENdn2TCF6UHdNbV25DdBcbW+Rs5yyjtDnmVHhSmSzJ9
ZtS/urclAkEA0BTzUjedBx3yMeEUVX1uuQSHA7sFYbphjZrQqkIBsl7ng4UhW3wy
IM29boJW76SZl3Ttb4PBIyAUp6icHwhdtQJBANrGHhA56OzfjUnXL7zgD836OA7J
HaTEOm7ERb06k9Q/XAptSFx+TYTkxRLAGGeuq42vScTXI07KLAGaWe9sLbUCQCtd
UmA+CtGi4giXGb+/RkX0tZaHcVWunAoAy5/P5b6gnKsCIbOJLIE9n07ahvemXAP+
cEUfNi71zpgqQW8ONUkCQBjT/OcO90b2ZzwB6o0317B1sy5jPW/fOuNFNr1jGZmy
VADE0vBMmOXcl4mOJBBrjoUC5Kt4wo7X8mpt65cDQn0=
-----END RSA PRIVATE KEY-----
`
