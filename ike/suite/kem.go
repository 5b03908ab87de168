package suite

import (
	"crypto"
	"crypto/mlkem"
	"fmt"
	"io"
)

// ML-KEM (FIPS 203) as draft-ietf-ipsecme-ikev2-mlkem puts it into KE payloads. It has two sides that differ: the
// initiator sends an encapsulation key, the responder answers with a ciphertext, and both have a secret of 32 octets.
//
//	             initiator sends          responder answers
//	mlkem768     1184 octets (a key)      1088 octets (a ciphertext)
//	mlkem1024    1568 octets              1568 octets
//
// Neither fits for certain into IKE_SA_INIT, which cannot be fragmented: so they are methods of the exchanges after it.
var (
	mlkem768 = newKEM("mlkem768", 36, mlkem.EncapsulationKeySize768, mlkem.CiphertextSize768,
		func(seed []byte) (crypto.Decapsulator, error) { return mlkem.NewDecapsulationKey768(seed) },
		func(key []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey768(key) })
	mlkem1024 = newKEM("mlkem1024", 37, mlkem.EncapsulationKeySize1024, mlkem.CiphertextSize1024,
		func(seed []byte) (crypto.Decapsulator, error) { return mlkem.NewDecapsulationKey1024(seed) },
		func(key []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey1024(key) })
)

func newKEM(name string, id uint16, keyLen, ciphertextLen int,
	private func(seed []byte) (crypto.Decapsulator, error), public func(key []byte) (crypto.Encapsulator, error)) *Group {
	return &Group{Name: name, ID: id, PublicLen: keyLen, ResponseLen: ciphertextLen, SharedLen: mlkem.SharedKeySize,
		method: kem{private: private}, encapsulate: func(peer []byte) (ciphertext, shared []byte, err error) {
			key, err := public(peer) // checks the coefficients (FIPS 203 §7.2)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: it is no encapsulation key", ErrPublicValue)
			}
			shared, ciphertext = key.Encapsulate()
			return ciphertext, shared, nil
		}}
}

// kem is the initiator's arithmetic.
type kem struct {
	private func(seed []byte) (crypto.Decapsulator, error)
}

func (k kem) generate(rand io.Reader) (private, error) {
	seed := make([]byte, mlkem.SeedSize)
	defer clear(seed)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, err
	}
	key, err := k.private(seed)
	if err != nil {
		return nil, err
	}
	return &kemKey{key: key}, nil
}

type kemKey struct{ key crypto.Decapsulator }

func (k *kemKey) public() []byte { return k.key.Encapsulator().Bytes() }

// shared knows no wrong ciphertext but one of a wrong length: any other one gives a secret, which is the responder's
// only if the ciphertext is (FIPS 203 §6.3, implicit rejection). The keys that follow then differ, and nothing opens.
func (k *kemKey) shared(peer []byte) ([]byte, error) {
	secret, err := k.key.Decapsulate(peer)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no ciphertext", ErrPublicValue)
	}
	return secret, nil
}

// wipe drops the only reference: crypto/mlkem has no way to clear a key.
func (k *kemKey) wipe() { k.key = nil }
