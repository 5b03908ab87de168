package protect

import (
	"crypto/aes"
	"crypto/cipher"
)

// AES128GCM16 and AES256GCM16 are AES-GCM with an explicit IV of 8 octets and a tag of 16 (RFC 4106; in IKE RFC 5282).
var (
	AES128GCM16 = newAEAD("aes128gcm16", 16, gcm)
	AES256GCM16 = newAEAD("aes256gcm16", 32, gcm)
)

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
