package auth

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"twinbore/ike/wire"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The octets that RFC 7427 Appendix A and RFC 8420 §A.1 print (G-03).
func TestAlgorithmIdentifiersOfTheRFC(t *testing.T) {
	for name, want := range map[string]string{
		"rsa-pkcs1-sha256": "300d 0609 2a86 4886 f70d 0101 0b05 00",
		"rsa-pkcs1-sha384": "300d 0609 2a86 4886 f70d 0101 0c05 00",
		"rsa-pkcs1-sha512": "300d 0609 2a86 4886 f70d 0101 0d05 00",
		"ecdsa-sha256":     "300a 0608 2a86 48ce 3d04 0302",
		"ecdsa-sha384":     "300a 0608 2a86 48ce 3d04 0303",
		"ecdsa-sha512":     "300a 0608 2a86 48ce 3d04 0304",
		"ed25519":          "3005 0603 2b65 70",
		"rsa-pss-sha256": "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0201 0500 a11c 301a 0609 2a86 " +
			"4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0201 0500 a203 0201 20a3 0302 0101",
		"rsa-pss-sha384": "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0202 0500 a11c 301a 0609 2a86 " +
			"4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0202 0500 a203 0201 30a3 0302 0101",
		"rsa-pss-sha512": "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0203 0500 a11c 301a 0609 2a86 " +
			"4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0203 0500 a203 0201 40a3 0302 0101",
	} {
		s, err := parseAlgorithm(unhex(t, want))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.name != name || s.id != string(unhex(t, want)) {
			t.Errorf("%s is read as %s, which we write %x", name, s.name, s.id)
		}
	}
	if len(schemes) != 10 {
		t.Errorf("%d schemes, 10 are shown here", len(schemes))
	}
}

// variants are what documents let a writer write otherwise: RSA without NULL (RFC 4055 §5), hashes without NULL (§2.1), and
// PSS without the trailer field, as DER has it and strongSwan sends it.
var variants = map[string]string{
	"300b 0609 2a86 4886 f70d 0101 0b": "rsa-pkcs1-sha256",
	"3041 0609 2a86 4886 f70d 0101 0a30 34a0 0f30 0d06 0960 8648 0165 0304 0201 0500 a11c 301a 0609 2a86 " +
		"4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0201 0500 a203 0201 20": "rsa-pss-sha256",
	"303d 0609 2a86 4886 f70d 0101 0a30 30a0 0d30 0b06 0960 8648 0165 0304 0203 a11a 3018 0609 2a86 " +
		"4886 f70d 0101 0830 0b06 0960 8648 0165 0304 0203 a203 0201 40": "rsa-pss-sha512",
}

func TestAlgorithmIdentifierVariants(t *testing.T) {
	for text, want := range variants {
		if s, err := parseAlgorithm(unhex(t, text)); err != nil || s.name != want {
			t.Errorf("%s: %v, %v, want %s", text, s, err, want)
		}
	}
}

// CRY-09, G-03, G-05.
func TestAlgorithmIdentifierIsRefused(t *testing.T) {
	pss := schemeOf(keyRSA, SHA256, true).id
	edit := func(at int, with string) string { return pss[:at] + with + pss[at+len(with):] }
	const mask = len(pssHead) + 1 + len(pssMiddle)
	const sha256ID = "300d 0609 6086 4801 6503 0402 0105 00"
	for name, c := range map[string]struct{ der, says string }{
		"nothing":                  {"", "no AlgorithmIdentifier"},
		"garbage":                  {"ff00 ff00", "no AlgorithmIdentifier"},
		"indefinite length":        {"3080 0603 2b65 7000 00", "no AlgorithmIdentifier"},
		"length in the long form":  {"3081 0506 032b 6570", "no AlgorithmIdentifier"},
		"an octet after it":        {"3005 0603 2b65 7000", "no AlgorithmIdentifier"},
		"Ed25519 with NULL":        {"3007 0603 2b65 7005 00", "parameters"},
		"Ed448":                    {"3005 0603 2b65 71", "Ed448 is not accepted"},
		"ECDSA with NULL":          {"300c 0608 2a86 48ce 3d04 0302 0500", "parameters"},
		"RSA with an INTEGER":      {"300e 0609 2a86 4886 f70d 0101 0b02 0100", "parameters"},
		"RSA with two NULLs":       {"300f 0609 2a86 4886 f70d 0101 0b05 0005 00", "parameters"},
		"RSA with a long NULL":     {"300e 0609 2a86 4886 f70d 0101 0b05 0100", "parameters"},
		"RSA with SHA-1":           {"300d 0609 2a86 4886 f70d 0101 0505 00", "SHA-1"},
		"RSA with MD5":             {"300d 0609 2a86 4886 f70d 0101 0405 00", "MD5"},
		"RSA encryption":           {"300d 0609 2a86 4886 f70d 0101 0105 00", "1.2.840.113549.1.1.1 is not supported"},
		"ECDSA with SHA-1":         {"3009 0607 2a86 48ce 3d04 01", "SHA-1"},
		"DSA with SHA-1":           {"3009 0607 2a86 48ce 3804 03", "DSA"},
		"PSS, no parameters":       {"300b 0609 2a86 4886 f70d 0101 0a", "means SHA-1"},
		"PSS, empty (A.4.1)":       {"300d 0609 2a86 4886 f70d 0101 0a30 00", "SHA-1 is the default"},
		"PSS, defaults (A.4.2)":    {"303e 0609 2a86 4886 f70d 0101 0a30 31a0 0b30 0906 052b 0e03 021a 0500 a118 3016 0609 2a86 4886 f70d 0101 0830 0906 052b 0e03 021a 0500 a203 0201 14a3 0302 0101", "SHA-1 is not accepted"},
		"PSS, hash only":           {"301e 0609 2a86 4886 f70d 0101 0a30 11a0 0f" + sha256ID, "SHA-1 is the default"},
		"PSS, two hashes":          {hex.EncodeToString([]byte(edit(mask, "\x02"))), "two hashes, SHA2-256 and SHA2-384"},
		"PSS, mask with SHA-224":   {hex.EncodeToString([]byte(edit(mask, "\x04"))), "SHA-224"},
		"PSS, not MGF1":            {hex.EncodeToString([]byte(edit(43, "\x09"))), "MGF1"},
		"PSS, salt of 31":          {hex.EncodeToString([]byte(edit(66-4, "\x02\x01\x1f"))), "salt"},
		"PSS, salt of -1":          {hex.EncodeToString([]byte(edit(66-4, "\x02\x01\xff"))), "salt"},
		"PSS, salt of 0":           {hex.EncodeToString([]byte(edit(66-4, "\x02\x01\x00"))), "salt"},
		"PSS, huge salt":           {"304a 0609 2a86 4886 f70d 0101 0a30 3da0 0f" + sha256ID + "a11c 301a 0609 2a86 4886 f70d 0101 08" + sha256ID + "a207 0205 7fff ffff ffa3 0302 0101", "salt"},
		"PSS, trailer 2":           {hex.EncodeToString([]byte(edit(len(pss)-1, "\x02"))), "trailer"},
		"PSS, a field 4":           {hex.EncodeToString([]byte(edit(len(pss)-5, "\xa4"))), "make no sense"},
		"PSS, after parameters":    {"3043 0609 2a86 4886 f70d 0101 0a30 34a0 0f" + sha256ID + "a11c 301a 0609 2a86 4886 f70d 0101 08" + sha256ID + "a203 0201 2005 00", "without parameters"},
		"PSS, after the hash":      {"3043 0609 2a86 4886 f70d 0101 0a30 36a0 11" + sha256ID + "0500 a11c 301a 0609 2a86 4886 f70d 0101 08" + sha256ID + "a203 0201 20", "hash that is no"},
		"PSS, after the mask":      {"3043 0609 2a86 4886 f70d 0101 0a30 36a0 0f" + sha256ID + "a11e 301a 0609 2a86 4886 f70d 0101 08" + sha256ID + "0500 a203 0201 20", "MGF1"},
		"PSS, after its hash":      {"3043 0609 2a86 4886 f70d 0101 0a30 36a0 0f" + sha256ID + "a11e 301c 0609 2a86 4886 f70d 0101 08" + sha256ID + "0500 a203 0201 20", "hash that is no"},
		"PSS, after the salt":      {"3043 0609 2a86 4886 f70d 0101 0a30 36a0 0f" + sha256ID + "a11c 301a 0609 2a86 4886 f70d 0101 08" + sha256ID + "a205 0201 2005 00", "salt"},
		"PSS, after the trailer":   {"3048 0609 2a86 4886 f70d 0101 0a30 3ba0 0f" + sha256ID + "a11c 301a 0609 2a86 4886 f70d 0101 08" + sha256ID + "a203 0201 20a3 0502 0101 0500", "trailer"},
		"PSS, parameters are NULL": {"300d 0609 2a86 4886 f70d 0101 0a05 00", "means SHA-1"},
	} {
		_, err := parseAlgorithm(unhex(t, c.der))
		if err == nil {
			t.Errorf("%s: taken", name)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error is %q, want in it %q", name, err, c.says)
		}
	}
	for _, s := range schemes {
		for n := range len(s.id) {
			if _, err := parseAlgorithm([]byte(s.id[:n])); err == nil {
				t.Errorf("%s: the first %d of %d octets are taken", s.name, n, len(s.id))
			}
		}
	}
}

// What is taken is one of a few encodings: nothing can hide in them. The whole payload is tried as well, with every key.
func FuzzAlgorithmIdentifier(f *testing.F) {
	for _, s := range schemes {
		f.Add([]byte(s.id))
	}
	for text := range variants {
		f.Add(unhex(f, text))
	}
	keys := loadKeys(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseAlgorithm(data); err == nil && !slices.Contains(spellings(s), string(data)) {
			t.Fatalf("%x is taken for %s", data, s.name)
		}
		for _, key := range keys {
			for _, method := range []wire.AuthMethod{wire.AuthRSA, wire.AuthECDSA256, wire.AuthDigitalSignature} {
				if VerifySignature(method, data, []byte("octets"), key.Public(), Hashes(), Policy{}) == nil {
					t.Fatalf("%x is a signature of method %s", data, method)
				}
			}
		}
	})
}

// spellings are all encodings of a scheme that are taken.
func spellings(s *scheme) []string {
	null := []string{"", "\x05\x00"}
	wrap := func(tag byte, inside string) string { return string([]byte{tag, byte(len(inside))}) + inside }
	var list []string
	switch {
	case !s.pss && s.key == keyRSA:
		for _, n := range null {
			list = append(list, wrap(0x30, rsaHead[2:]+string("\x00\x0b\x0b\x0c\x0d"[s.hash])+n))
		}
	case s.pss:
		hash := "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" + string(rune(s.hash-1))
		salt := "\xa2\x03\x02\x01" + string(rune(s.hash.function().Size()))
		for _, n := range null {
			for _, m := range null {
				for _, end := range []string{"", pssEnd} {
					mask := "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" + wrap(0x30, hash+m)
					list = append(list, wrap(0x30, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"+
						wrap(0x30, wrap(0xa0, wrap(0x30, hash+n))+wrap(0xa1, wrap(0x30, mask))+salt+end)))
				}
			}
		}
	default:
		list = []string{s.id}
	}
	return list
}

func TestSpellingsAreTaken(t *testing.T) {
	for _, s := range schemes {
		for _, text := range spellings(s) {
			if got, err := parseAlgorithm([]byte(text)); err != nil || got != s {
				t.Errorf("%s as %x: %v, %v", s.name, text, got, err)
			}
		}
		if !slices.Contains(spellings(s), s.id) {
			t.Errorf("%s: what we write is not among the spellings", s.name)
		}
	}
}

func TestHashes(t *testing.T) {
	n := HashesNotify(Hashes())
	if want := []byte{0, 2, 0, 3, 0, 4, 0, 5}; n.Kind != wire.NotifySignatureHashAlgorithms || !bytes.Equal(n.Data, want) {
		t.Errorf("we announce %s %x, want %x: SHA2-256 to SHA2-512 and Identity, no SHA1 (G-04, G-05)", n.Kind, n.Data, want)
	}
	for text, want := range map[string][]Hash{
		"":                              nil,
		"0002 0003 0004 0005":           Hashes(),
		"0001":                          {InsecureSHA1},
		"0006 0007 0000 ffff":           nil,
		"0004 0006 0004 0002":           {SHA512, SHA256},
		strings.Repeat("0003 ", 30_000): {SHA384},
	} {
		if got, err := ParseHashes(unhex(t, text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%.30s is read as %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"00", "0002 00"} {
		if got, err := ParseHashes(unhex(t, text)); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
	if got := Hash(99).String() + InsecureSHA1.String() + hashNames(Hashes()); got != "HASH_99SHA1SHA2-256, SHA2-384, SHA2-512, Identity" {
		t.Errorf("names: %s", got)
	}
}
