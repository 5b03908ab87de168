package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"

	"twinbore/esp/protect/vectors"
	"twinbore/ike/wire"
)

// authData is what an AUTH payload of the method carries.
func authData(method wire.AuthMethod, algorithm, sig []byte) []byte {
	if method != wire.AuthDigitalSignature {
		return sig
	}
	return slices.Concat([]byte{byte(len(algorithm))}, algorithm, sig)
}

// CRY-08: signatures that bend the rules, by Project Wycheproof, and good ones by openssl. What is good with RFC 7427 is good
// with the old method of RSA, and what is bad is bad.
func TestSignatureVectors(t *testing.T) {
	var key crypto.PublicKey
	for _, c := range vectors.Load(t, "ike-signature*.txt") {
		if c.Has("key") {
			var err error
			if key, err = x509.ParsePKIXPublicKey(c.Hex(t, "key")); err != nil {
				t.Fatalf("%s: %v", c.Name(), err)
			}
		}
		method := wire.AuthMethod(c.Uint(t, "method"))
		octets, sig := c.Hex(t, "octets"), c.Hex(t, "signature")
		var algorithm []byte
		if c.Has("algorithm") {
			algorithm = c.Hex(t, "algorithm")
		}
		want := c.Text(t, "expect") == "ok"
		err := VerifySignature(method, authData(method, algorithm, sig), octets, key, Hashes(), Policy{})
		if (err == nil) != want {
			t.Errorf("%s: %v, want %s", c.Name(), err, c.Text(t, "expect"))
		}
		if strings.HasPrefix(string(algorithm), rsaHead) {
			if err := VerifySignature(wire.AuthRSA, sig, octets, key, nil, Policy{}); (err == nil) != want {
				t.Errorf("%s by method 1: %v, want %s", c.Name(), err, c.Text(t, "expect"))
			}
		}
		if err != nil && !bytes.Contains([]byte(err.Error()), []byte("the peer")) {
			t.Errorf("%s: error is %q, which says nothing", c.Name(), err)
		}
	}
}

// testKeys are the private keys of ike-signature.txt, by the first word of the case that brings them.
var testKeys map[string]crypto.Signer

func loadKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	if testKeys != nil {
		return testKeys
	}
	keys := map[string]crypto.Signer{}
	for _, c := range vectors.Load(t, "ike-signature.txt") {
		if !c.Has("private") {
			continue
		}
		key, err := x509.ParsePKCS8PrivateKey(c.Hex(t, "private"))
		if err != nil {
			t.Fatal(err)
		}
		word, _, _ := strings.Cut(c.Name(), " ")
		keys[word] = key.(crypto.Signer)
	}
	testKeys = keys
	return keys
}

// With a key of openssl's we make the very octets that openssl made, where the algorithm draws nothing at random.
func TestSignAsOpenSSLDoes(t *testing.T) {
	keys := loadKeys(t)
	seen := 0
	for _, c := range vectors.Load(t, "ike-signature.txt") {
		if !c.Has("same") {
			continue
		}
		seen++
		word, _, _ := strings.Cut(c.Name(), " ")
		s, err := parseAlgorithm(c.Hex(t, "algorithm"))
		if err != nil {
			t.Fatal(err)
		}
		signer := signerOf(t, keys[word])
		proof, err := signer.Sign(nil, c.Hex(t, "octets"), []Hash{s.hash}, Policy{RSA: PaddingPKCS1})
		if err != nil {
			t.Fatal(err)
		}
		if want := authData(14, c.Hex(t, "algorithm"), c.Hex(t, "signature")); proof.Method != 14 || !bytes.Equal(proof.Data, want) {
			t.Errorf("%s: method %d, %x\nwant 14, %x", c.Name(), proof.Method, proof.Data, want)
		}
	}
	if seen != 7 {
		t.Errorf("%d vectors to compare with, want 7", seen)
	}
}

func signerOf(t testing.TB, key crypto.Signer) *Signer {
	t.Helper()
	s, err := NewSigner(certs(certify(t, authority(t, nil, "root"), key, "gw", withNames)), key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// G-01, G-04: what the peer announced and the key decide how we sign; what we sign, we verify.
func TestSignChoosesByKeyAndPeer(t *testing.T) {
	keys := loadKeys(t)
	octets := []byte("message, nonce and MAC")
	all := Hashes()
	for _, c := range []struct {
		key    string
		hashes []Hash
		policy Policy
		method wire.AuthMethod
		scheme string // of method 14
	}{
		{"rsa2048", all, Policy{}, 14, "rsa-pss-sha256"},
		{"rsa2048", []Hash{SHA512, SHA384}, Policy{}, 14, "rsa-pss-sha384"},
		{"rsa2048", []Hash{InsecureSHA1, SHA512}, Policy{}, 14, "rsa-pss-sha512"},
		{"rsa4096", all, Policy{RSA: PaddingPKCS1}, 14, "rsa-pkcs1-sha256"},
		{"rsa2048", []Hash{SHA384}, Policy{RSA: PaddingPKCS1, InsecureSHA1: true}, 14, "rsa-pkcs1-sha384"},
		{"rsa2048", nil, Policy{InsecureSHA1: true}, 1, ""},
		{"rsa2048", []Hash{InsecureSHA1}, Policy{InsecureSHA1: true}, 1, ""},
		{"p256", all, Policy{}, 14, "ecdsa-sha256"},
		{"p384", all, Policy{}, 14, "ecdsa-sha384"},
		{"p521", all, Policy{}, 14, "ecdsa-sha512"},
		{"p521", []Hash{SHA256}, Policy{}, 14, "ecdsa-sha256"},
		{"p384", []Hash{SHA256, SHA512}, Policy{}, 14, "ecdsa-sha512"},
		{"p256", nil, Policy{}, 9, ""},
		{"p384", nil, Policy{}, 10, ""},
		{"p521", nil, Policy{}, 11, ""},
		{"p256", []Hash{Identity, InsecureSHA1}, Policy{InsecureSHA1: true}, 9, ""},
		{"ed25519", all, Policy{}, 14, "ed25519"},
	} {
		name := fmt.Sprintf("%s %v %+v", c.key, c.hashes, c.policy)
		s := signerOf(t, keys[c.key])
		proof, err := s.Sign(nil, octets, c.hashes, c.policy)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		scheme := ""
		if proof.Method == 14 {
			s, err := parseAlgorithm(proof.Data[1 : 1+int(proof.Data[0])])
			if err != nil {
				t.Fatalf("%s: we made %x: %v", name, proof.Data, err)
			}
			scheme = s.name
		}
		if proof.Method != c.method || scheme != c.scheme {
			t.Errorf("%s: method %s, %s; want %s, %s", name, proof.Method, scheme, c.method, c.scheme)
		}
		key := s.Certificate().PublicKey
		if err := VerifySignature(proof.Method, proof.Data, octets, key, all, c.policy); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		err = VerifySignature(proof.Method, proof.Data, append(bytes.Clone(octets), 0), key, all, c.policy)
		wantRefusal(t, err, ErrSignature, "is wrong")
		if c.method == 1 { // A-03, G-05: SHA-1 only where the operator said so
			wantRefusal(t, VerifySignature(1, proof.Data, octets, key, all, Policy{}), ErrSignature, "SHA-1")
		}
	}
	for _, c := range []struct {
		key    string
		hashes []Hash
		says   string
	}{
		{"rsa2048", nil, "RFC 7427"},
		{"rsa2048", []Hash{InsecureSHA1}, "SHA1"},
		{"rsa2048", []Hash{Identity}, "Identity"},
		{"ed25519", nil, "RFC 7427"},
		{"ed25519", []Hash{SHA256, SHA384, SHA512}, "Ed25519 key"},
	} {
		_, err := signerOf(t, keys[c.key]).Sign(nil, octets, c.hashes, Policy{})
		wantRefusal(t, err, ErrNoSigner, c.says)
	}
}

// Numbers with leading zeros keep their place in the form of RFC 4754: half of those of P-521 have one.
func TestOldECDSAPadsItsNumbers(t *testing.T) {
	for _, word := range []string{"p256", "p384", "p521"} {
		s := signerOf(t, loadKeys(t)[word])
		for i := range 8 {
			proof, err := s.Sign(nil, []byte{byte(i)}, nil, Policy{})
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifySignature(proof.Method, proof.Data, []byte{byte(i)}, s.Certificate().PublicKey, nil, Policy{}); err != nil {
				t.Errorf("%s, %d: %v", word, i, err)
			}
		}
	}
}

// Architecture: with the same randomness the same octets, so that recordings can be replayed.
func TestSignIsDeterministic(t *testing.T) {
	keys := loadKeys(t)
	sign := func(word string, seed byte) []byte {
		var randomness io.Reader = mathrand.NewChaCha8([32]byte{seed})
		proof, err := signerOf(t, keys[word]).Sign(randomness, []byte("octets"), Hashes(), Policy{})
		if err != nil {
			t.Fatal(err)
		}
		return proof.Data
	}
	for word := range keys {
		if !bytes.Equal(sign(word, 1), sign(word, 1)) {
			t.Errorf("%s: two signatures differ though the randomness was the same", word)
		}
	}
	if bytes.Equal(sign("rsa2048", 1), sign("rsa2048", 2)) {
		t.Error("RSASSA-PSS does not take its salt from the reader")
	}
}

// A key that lives elsewhere may fail, or give back what is no signature.
func TestSignWithAKeyElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		err    error
		says   string
	}{
		"it fails":                {nil, errors.New("token removed"), "CN=gw: token removed"},
		"nothing":                 {nil, nil, "no ECDSA signature"},
		"r longer than the curve": {[]byte("\x30\x26\x02\x21\x01" + strings.Repeat("r", 32) + "\x02\x01s"), nil, "no ECDSA signature"},
		"an octet more":           {[]byte("\x30\x06\x02\x01r\x02\x01s\x00"), nil, "no ECDSA signature"},
	} {
		key := elsewhere{loadKeys(t)["p256"], c.answer, c.err}
		root := authority(t, nil, "root")
		s, err := NewSigner(certs(certify(t, root, loadKeys(t)["p256"], "gw")), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sign(nil, []byte("octets"), nil, Policy{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error is %v, want in it %q", name, err, c.says)
		}
	}
}

type elsewhere struct {
	crypto.Signer
	answer []byte
	err    error
}

func (e elsewhere) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return e.answer, e.err }

// CRY-09 and AUT-05: what is no signature by the certificate's key in a way that we announced.
func TestSignatureIsRefused(t *testing.T) {
	keys := loadKeys(t)
	octets := []byte("octets")
	proof := func(word string, hashes []Hash, policy Policy) (wire.AuthMethod, []byte) {
		a, err := signerOf(t, keys[word]).Sign(nil, octets, hashes, policy)
		if err != nil {
			t.Fatal(err)
		}
		return a.Method, a.Data
	}
	_, pss := proof("rsa2048", Hashes(), Policy{})
	_, pkcs1 := proof("rsa2048", []Hash{SHA256}, Policy{RSA: PaddingPKCS1})
	_, p256 := proof("p256", Hashes(), Policy{})
	_, old256 := proof("p256", nil, Policy{})
	_, old384 := proof("p384", nil, Policy{})
	_, ed := proof("ed25519", Hashes(), Policy{})
	rsaSig, edSig, ecSig := pkcs1[1+int(pkcs1[0]):], ed[1+int(ed[0]):], p256[1+int(p256[0]):]
	withLength := func(n byte, data []byte) []byte { data = bytes.Clone(data); data[0] = n; return data }
	zeros := func(n int) []byte { return make([]byte, n) }
	der := func(text string) []byte {
		return authData(14, []byte(schemeOf(keyECDSA, SHA256, false).id), []byte(text))
	}
	order := elliptic.P256().Params().N.Bytes()

	for name, c := range map[string]struct {
		key       string
		method    wire.AuthMethod
		data      []byte
		announced []Hash
		says      string
	}{
		"nothing announced":               {"rsa2048", 14, pss, nil, "did not say"},
		"hash not offered":                {"rsa2048", 14, pss, []Hash{SHA384, SHA512}, "uses SHA2-256, we announced SHA2-384, SHA2-512"},
		"Identity not offered":            {"ed25519", 14, ed, []Hash{SHA256}, "uses Identity"},
		"SHA-1":                           {"rsa2048", 14, authData(14, []byte(rsaHead+"\x05"+rsaEnd), rsaSig), []Hash{InsecureSHA1, SHA256}, "RSA with SHA-1 is not accepted"},
		"MD5":                             {"rsa2048", 14, authData(14, []byte(rsaHead+"\x04"+rsaEnd), rsaSig), Hashes(), "RSA with MD5 is not accepted"},
		"ECDSA with SHA-1":                {"p256", 14, authData(14, []byte("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01"), ecSig), Hashes(), "ECDSA with SHA-1"},
		"algorithm of another key: ECDSA": {"rsa2048", 14, p256, Hashes(), "ecdsa-sha256, its certificate has an RSA key"},
		"algorithm of another key: RSA":   {"p256", 14, pss, Hashes(), "rsa-pss-sha256, its certificate has an ECDSA key"},
		"algorithm of another key: EdDSA": {"p256", 14, ed, Hashes(), "ed25519, its certificate has an ECDSA key"},
		"Ed25519 key, RSA":                {"ed25519", 14, pkcs1, Hashes(), "rsa-pkcs1-sha256"},
		"PKCS#1 as PSS":                   {"rsa2048", 14, authData(14, []byte(schemeOf(keyRSA, SHA256, true).id), rsaSig), Hashes(), "is wrong"},
		"PSS as PKCS#1":                   {"rsa2048", 14, authData(14, []byte(schemeOf(keyRSA, SHA256, false).id), pss[1+int(pss[0]):]), Hashes(), "is wrong"},
		"PSS by method 1":                 {"rsa2048", 1, pss[1+int(pss[0]):], Hashes(), "is wrong"},
		"another hash than it says":       {"rsa2048", 14, authData(14, []byte(schemeOf(keyRSA, SHA512, false).id), rsaSig), Hashes(), "is wrong"},
		"length octet 0":                  {"rsa2048", 14, withLength(0, pss), Hashes(), "cut short"},
		"length octet 255, all there":     {"rsa2048", 14, withLength(255, pss), Hashes(), "AlgorithmIdentifier"},
		"length octet 255":                {"p256", 14, withLength(255, p256), Hashes(), "cut short"},
		"length octet 1 too large":        {"rsa2048", 14, withLength(pss[0]+1, pss), Hashes(), "AlgorithmIdentifier"},
		"length octet 1 too small":        {"rsa2048", 14, withLength(pss[0]-1, pss), Hashes(), "AlgorithmIdentifier"},
		"nothing":                         {"rsa2048", 14, nil, Hashes(), "cut short"},
		"algorithm alone":                 {"p256", 14, p256[:1+int(p256[0])], Hashes(), "cut short"},
		"a signature without algorithm":   {"p256", 14, ecSig, Hashes(), ""},
		"Ed25519 prehashed":               {"ed25519", 14, authData(14, []byte(schemeOf(keyEd25519, Identity, false).id), edPrehashed(t, keys["ed25519"], octets)), Hashes(), "is wrong"},
		"Ed25519, one octet short":        {"ed25519", 14, ed[:len(ed)-1], Hashes(), "is wrong"},
		"Ed25519, one octet more":         {"ed25519", 14, append(bytes.Clone(ed), 0), Hashes(), "is wrong"},
		"Ed25519 of zeros":                {"ed25519", 14, authData(14, []byte(schemeOf(keyEd25519, Identity, false).id), zeros(64)), Hashes(), "is wrong"},
		"ECDSA empty":                     {"p256", 14, der("\x30\x00"), Hashes(), "is wrong"},
		"ECDSA r and s 0":                 {"p256", 14, der("\x30\x06\x02\x01\x00\x02\x01\x00"), Hashes(), "is wrong"},
		"ECDSA r and s negative":          {"p256", 14, der("\x30\x06\x02\x01\xff\x02\x01\xff"), Hashes(), "is wrong"},
		"ECDSA trailing octet":            {"p256", 14, append(bytes.Clone(p256), 0), Hashes(), "is wrong"},
		"ECDSA as r and s in method 14":   {"p256", 14, der(string(old256)), Hashes(), "is wrong"},
		"ECDSA DER in method 9":           {"p256", 9, ecSig, Hashes(), "octets, r and s have 64"},
		"method 9 of zeros":               {"p256", 9, zeros(64), Hashes(), "is wrong"},
		"method 9, r and s the order":     {"p256", 9, slices.Concat(order, order), Hashes(), "is wrong"},
		"method 9, one octet short":       {"p256", 9, old256[1:], Hashes(), "has 63 octets"},
		"method 9, one octet more":        {"p256", 9, append(bytes.Clone(old256), 0), Hashes(), "has 65 octets"},
		"method 9 empty":                  {"p256", 9, nil, Hashes(), "has 0 octets"},
		"method 9 with P-384":             {"p384", 9, old384, Hashes(), "a key on P-384"},
		"method 10 with P-256":            {"p256", 10, old256, Hashes(), "a key on P-256"},
		"method 9 with RSA":               {"rsa2048", 9, rsaSig, Hashes(), "its certificate has an RSA key"},
		"method 1 with ECDSA":             {"p256", 1, ecSig, Hashes(), "its certificate has an ECDSA key"},
		"method 1 with Ed25519":           {"ed25519", 1, edSig, Hashes(), "its certificate has an Ed25519 key"},
		"method 1 empty":                  {"rsa2048", 1, nil, Hashes(), "is wrong"},
		"method 1, one octet more":        {"rsa2048", 1, append([]byte{0}, rsaSig...), Hashes(), "is wrong"},
		"method 0":                        {"rsa2048", 0, rsaSig, Hashes(), "AUTH_0"},
		"method 2, PSK":                   {"rsa2048", 2, rsaSig, Hashes(), "pre-shared key"},
		"method 3, DSS":                   {"rsa2048", 3, rsaSig, Hashes(), "DSS"},
		"method 12":                       {"rsa2048", 12, rsaSig, Hashes(), "AUTH_12"},
		"method 13, NULL":                 {"rsa2048", 13, rsaSig, Hashes(), "NULL"},
		"method 255":                      {"rsa2048", 255, rsaSig, Hashes(), "AUTH_255"},
	} {
		t.Run(name, func(t *testing.T) {
			err := VerifySignature(c.method, c.data, octets, keys[c.key].Public(), c.announced, Policy{})
			wantRefusal(t, err, ErrSignature, c.says)
		})
	}
}

func edPrehashed(t *testing.T, key crypto.Signer, octets []byte) []byte {
	t.Helper()
	sig, err := key.Sign(nil, SHA512.digest(octets), &ed25519.Options{Hash: crypto.SHA512})
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// CRY-08: keys that make no sense are refused before any arithmetic, whatever the method, without a panic.
func TestImpossibleKeys(t *testing.T) {
	one, n := big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 2047)
	odd := new(big.Int).Add(n, one)
	for name, key := range map[string]crypto.PublicKey{
		"nil":                     nil,
		"a number":                7,
		"RSA without modulus":     &rsa.PublicKey{E: 3},
		"RSA modulus 0":           &rsa.PublicKey{N: new(big.Int), E: 3},
		"RSA modulus 1":           &rsa.PublicKey{N: one, E: 3},
		"RSA modulus negative":    &rsa.PublicKey{N: new(big.Int).Neg(odd), E: 3},
		"RSA modulus even":        &rsa.PublicKey{N: n, E: 3},
		"RSA of 512 bits":         &rsa.PublicKey{N: new(big.Int).Rsh(odd, 1536), E: 3},
		"RSA exponent 0":          &rsa.PublicKey{N: odd},
		"RSA exponent 1":          &rsa.PublicKey{N: odd, E: 1},
		"RSA exponent 2":          &rsa.PublicKey{N: odd, E: 2},
		"RSA exponent negative":   &rsa.PublicKey{N: odd, E: -3},
		"ECDSA without curve":     &ecdsa.PublicKey{},
		"ECDSA on P-224":          &ecdsa.PublicKey{Curve: elliptic.P224(), X: one, Y: one},
		"ECDSA without point":     &ecdsa.PublicKey{Curve: elliptic.P256()},
		"ECDSA beside the curve":  &ecdsa.PublicKey{Curve: elliptic.P256(), X: one, Y: one},
		"ECDSA at (0,0)":          &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)},
		"Ed25519 without octets":  ed25519.PublicKey(nil),
		"Ed25519 of 31 octets":    ed25519.PublicKey(make([]byte, 31)),
		"Ed25519 the neutral one": ed25519.PublicKey(append([]byte{1}, make([]byte, 31)...)),
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []wire.AuthMethod{1, 9, 10, 11, 14} {
				for _, s := range schemes {
					sig := bytes.Repeat([]byte{1}, 64)
					err := VerifySignature(method, authData(method, []byte(s.id), sig), []byte("octets"), key, Hashes(), Policy{InsecureSHA1: true})
					wantRefusal(t, err, ErrSignature, "")
				}
			}
		})
	}
}
