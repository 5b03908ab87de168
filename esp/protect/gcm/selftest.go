package gcm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// knownAnswers are the SHA-256 of what knownAnswer seals, by key length. The test beside this file makes the same with the standard
// library.
var knownAnswers = map[int]string{
	16: "4523bec4ff59687ece04bd3b9c84ef29fea4dda5b7df9a26254fdab409594a1b",
	32: "a4f8cecfa31b9ec3169c05c2b3fbdc968c41dc3ed3b9ad7e16e51e378f370412",
}

// knownLens is the number of packets of a known answer, of 0 octets and up: every way through a kernel.
const knownLens = 600

// selfTest reports whether a kernel gives the known answers on this CPU, and opens what it sealed, and not what was changed.
func selfTest(k kernel) bool {
	for keyLen, want := range knownAnswers {
		key := newKey(k, counting(keyLen), [SaltLen]byte(counting(SaltLen)))
		if got, good := knownAnswer(key); !good || got != want {
			return false
		}
	}
	return true
}

// knownAnswer seals and opens packets of counting octets, and returns the digest of the sealed ones.
func knownAnswer(key *Key) (sum string, good bool) {
	h := sha256.New()
	iv, text := counting(IVLen), counting(knownLens)
	var sealed, opened []byte
	for n := range knownLens {
		aad := text[:n%24]
		sealed = key.Seal(sealed[:0], iv, text[:n], aad)
		h.Write(sealed)
		opened, good = key.Open(opened[:0], iv, sealed, aad)
		if !good || !bytes.Equal(opened, text[:n]) {
			return "", false
		}
		sealed[n%len(sealed)] ^= 1
		if _, good = key.Open(opened[:0], iv, sealed, aad); good {
			return "", false
		}
	}
	return hex.EncodeToString(h.Sum(nil)), true
}

// counting returns the octets 0, 1, 2, ….
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}
