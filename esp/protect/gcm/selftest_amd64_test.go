package gcm

import "testing"

// TestSelfTestSeesAWrongBit breaks what a kernel works with, in each part that it reads.
func TestSelfTestSeesAWrongBit(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		for keyLen, want := range knownAnswers {
			broken := map[string]func(*Key){
				"first round key": func(k *Key) { k.rounds[0][0] ^= 1 },
				"last round key":  func(k *Key) { k.rounds[keyLen/4+6][15] ^= 0x80 },
				"H":               func(k *Key) { k.powers[maxPower-1][3] ^= 4 },
				"H^2":             func(k *Key) { k.powers[maxPower-2][3] ^= 4 },
				"salt":            func(k *Key) { k.salt ^= 1 << 31 },
				"nothing":         func(*Key) {},
			}
			for what, spoil := range broken {
				k := newKey(kernel, counting(keyLen), [SaltLen]byte(counting(SaltLen)))
				spoil(k)
				got, good := knownAnswer(k)
				if passed := good && got == want; passed != (what == "nothing") {
					t.Errorf("key of %d octets, broken in %s: passed is %v", keyLen, what, passed)
				}
			}
		}
	})
}
