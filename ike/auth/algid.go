package auth

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidPSS     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}
)

var rsaOIDs = map[string]Hash{
	"1.2.840.113549.1.1.11": SHA256, "1.2.840.113549.1.1.12": SHA384, "1.2.840.113549.1.1.13": SHA512,
}

var ecdsaOIDs = map[string]Hash{
	"1.2.840.10045.4.3.2": SHA256, "1.2.840.10045.4.3.3": SHA384, "1.2.840.10045.4.3.4": SHA512,
}

var hashOIDs = map[string]Hash{
	"2.16.840.1.101.3.4.2.1": SHA256, "2.16.840.1.101.3.4.2.2": SHA384, "2.16.840.1.101.3.4.2.3": SHA512,
}

// refusedOIDs are known and will not be accepted (RFC 8247 §3.2, G-05).
var refusedOIDs = map[string]string{
	"1.2.840.113549.1.1.4":   "RSA with MD5",
	"1.2.840.113549.1.1.5":   "RSA with SHA-1",
	"1.2.840.113549.1.1.14":  "RSA with SHA-224",
	"1.2.840.10045.4.1":      "ECDSA with SHA-1",
	"1.2.840.10045.4.3.1":    "ECDSA with SHA-224",
	"1.2.840.10040.4.3":      "DSA with SHA-1",
	"2.16.840.1.101.3.4.3.2": "DSA with SHA-256",
	"1.3.14.3.2.26":          "SHA-1",
	"2.16.840.1.101.3.4.2.4": "SHA-224",
	"1.3.101.113":            "Ed448",
}

// parseAlgorithm reads the AlgorithmIdentifier of a digital signature (RFC 7427 §3, Appendix A). It is strict: DER to the
// last octet, one of the rows of schemes, and nothing implied; the few freedoms that documents give writers are named
// where they are taken.
func parseAlgorithm(data []byte) (*scheme, error) {
	var seq cryptobyte.String
	var oid asn1.ObjectIdentifier
	s := cryptobyte.String(data)
	if !s.ReadASN1(&seq, der.SEQUENCE) || !s.Empty() || !seq.ReadASN1ObjectIdentifier(&oid) {
		return nil, errors.New("signature algorithm is no AlgorithmIdentifier")
	}
	if hash, ok := rsaOIDs[oid.String()]; ok {
		// "Implementations MUST accept the parameters being absent as well as present" (RFC 4055 §5).
		return schemeOf(keyRSA, hash, false), readNullOrNothing(&seq)
	}
	if hash, ok := ecdsaOIDs[oid.String()]; ok {
		return schemeOf(keyECDSA, hash, false), readNothing(&seq) // RFC 5758 §3.2
	}
	switch {
	case oid.Equal(oidEd25519):
		return schemeOf(keyEd25519, Identity, false), readNothing(&seq) // RFC 8410 §3
	case oid.Equal(oidPSS):
		return parsePSS(&seq)
	}
	return nil, unknownOID("signature algorithm", oid)
}

// parsePSS reads the parameters of RSASSA-PSS (RFC 4055 §3.1). What they leave out is SHA-1 by default, so all must be
// there but the trailer field, which has one value only. The salt is as long as the hash, as everybody makes it.
func parsePSS(seq *cryptobyte.String) (*scheme, error) {
	var params, hashField, mgfField, saltField, trailerField, mgf cryptobyte.String
	var hasTrailer bool
	if !seq.ReadASN1(&params, der.SEQUENCE) || !seq.Empty() {
		return nil, errors.New("RSASSA-PSS without parameters, which means SHA-1")
	}
	if !params.ReadASN1(&hashField, explicit(0)) || !params.ReadASN1(&mgfField, explicit(1)) || !params.ReadASN1(&saltField, explicit(2)) {
		return nil, errors.New("RSASSA-PSS that does not say hash, mask generation and salt, where SHA-1 is the default")
	}
	if !params.ReadOptionalASN1(&trailerField, &hasTrailer, explicit(3)) || !params.Empty() {
		return nil, errors.New("RSASSA-PSS with parameters that make no sense")
	}
	hash, err := readHash(&hashField)
	if err != nil {
		return nil, err
	}
	var oid asn1.ObjectIdentifier
	if !mgfField.ReadASN1(&mgf, der.SEQUENCE) || !mgfField.Empty() || !mgf.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidMGF1) {
		return nil, errors.New("RSASSA-PSS with a mask generation other than MGF1")
	}
	if mask, err := readHash(&mgf); err != nil {
		return nil, err
	} else if mask != hash {
		return nil, fmt.Errorf("RSASSA-PSS with two hashes, %s and %s", hash, mask)
	}
	var salt, trailer int
	if want := hash.function().Size(); !saltField.ReadASN1Integer(&salt) || !saltField.Empty() || salt != want {
		return nil, fmt.Errorf("RSASSA-PSS with a salt of another length than %d, the hash's", want)
	}
	if hasTrailer && (!trailerField.ReadASN1Integer(&trailer) || !trailerField.Empty() || trailer != 1) {
		return nil, errors.New("RSASSA-PSS with a trailer field other than 1")
	}
	return schemeOf(keyRSA, hash, true), nil
}

// readHash reads the AlgorithmIdentifier of a hash, which must be all that is left.
func readHash(s *cryptobyte.String) (Hash, error) {
	var seq cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !s.ReadASN1(&seq, der.SEQUENCE) || !s.Empty() || !seq.ReadASN1ObjectIdentifier(&oid) {
		return 0, errors.New("RSASSA-PSS with a hash that is no AlgorithmIdentifier")
	}
	hash, ok := hashOIDs[oid.String()]
	if !ok {
		return 0, unknownOID("hash", oid)
	}
	return hash, readNullOrNothing(&seq) // RFC 4055 §2.1 has both
}

func explicit(n uint8) der.Tag { return der.Tag(n).Constructed().ContextSpecific() }

func readNullOrNothing(s *cryptobyte.String) error {
	var null cryptobyte.String
	if s.Empty() || s.ReadASN1(&null, der.NULL) && null.Empty() && s.Empty() {
		return nil
	}
	return errors.New("signature algorithm with parameters where there are none")
}

func readNothing(s *cryptobyte.String) error {
	if s.Empty() {
		return nil
	}
	return errors.New("signature algorithm with parameters where there are none")
}

func unknownOID(what string, oid asn1.ObjectIdentifier) error {
	if name, ok := refusedOIDs[oid.String()]; ok {
		return fmt.Errorf("%s is not accepted", name)
	}
	return fmt.Errorf("%s %s is not supported", what, cut(oid.String()))
}
