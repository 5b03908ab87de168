package protect

import (
	"crypto/aes"
	"crypto/cipher"

	"twinbore/esp/protect/gcm"
)

// AES128GCM16 and AES256GCM16 are AES-GCM with an explicit IV of 8 octets and a tag of 16 (RFC 4106; in IKE RFC 5282). Their
// Protectors use the kernel that gcm.Select chose before they were made, and the standard library where there is none.
var (
	AES128GCM16 = newAEAD("aes128gcm16", 16, newGCM)
	AES256GCM16 = newAEAD("aes256gcm16", 32, newGCM)
)

func newGCM(key []byte, salt [saltLen]byte) (Protector, error) {
	if k := gcm.New(key, salt); k != nil {
		return gcmProtector{k}, nil
	}
	return library(libraryGCM)(key, salt)
}

func libraryGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// A gcmProtector seals with a kernel of package gcm.
type gcmProtector struct{ key *gcm.Key }

func (p gcmProtector) Seal(dst, iv, plaintext, aad, _ []byte) []byte {
	return p.key.Seal(dst, iv, plaintext, aad)
}

func (p gcmProtector) Open(dst, iv, sealed, aad, _ []byte) ([]byte, error) {
	out, ok := p.key.Open(dst, iv, sealed, aad)
	if !ok {
		return nil, ErrOpen
	}
	return out, nil
}
