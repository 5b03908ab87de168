package protect

import (
	"bytes"
	"errors"
	"testing"

	"twinbore/esp/protect/gcm"
	"twinbore/esp/protect/vectors"
)

// onEveryKernel runs f as a test for each AES-GCM kernel of this CPU, and for the standard library alone.
func onEveryKernel(t *testing.T, f func(t *testing.T, own bool)) {
	t.Helper()
	t.Cleanup(func() {
		if err := gcm.Select("auto"); err != nil {
			t.Error(err)
		}
	})
	for _, name := range append(gcm.Kernels(), "none") {
		t.Run(name, func(t *testing.T) {
			if err := gcm.Select(name); err != nil {
				t.Fatal(err)
			}
			f(t, name != "none")
		})
	}
}

func TestGCMUsesTheKernelThatIsSelected(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, own bool) {
		for _, a := range []*Algorithm{AES128GCM16, AES256GCM16} {
			if _, is := protector(t, a).(gcmProtector); is != own {
				t.Errorf("%s: an own kernel seals: %v, want %v", a.Name, is, own)
			}
		}
	})
}

// TestVectorsGCM has NIST's and Wycheproof's, with each kernel and without.
func TestVectorsGCM(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, _ bool) {
		for _, c := range vectors.Load(t, "aes-gcm-*.txt") {
			key, nonce := c.Hex(t, "key"), c.Hex(t, "nonce")
			a := AES128GCM16
			if len(key) == 32 {
				a = AES256GCM16
			}
			p, err := a.New(append(key, nonce[:saltLen]...))
			if err != nil {
				t.Fatal(err)
			}
			iv, aad, sealed := nonce[saltLen:], c.Hex(t, "aad"), c.Hex(t, "sealed")
			out, err := p.Open(nil, iv, sealed, aad, nil)
			if c.Text(t, "expect") == "bad-icv" {
				if !errors.Is(err, ErrOpen) || out != nil {
					t.Errorf("%s: %x, %v; want ErrOpen", c.Name(), out, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(out, c.Hex(t, "plaintext")) {
				t.Errorf("%s: opened %x, %v", c.Name(), out, err)
			}
			if got := p.Seal(nil, iv, c.Hex(t, "plaintext"), aad, nil); !bytes.Equal(got, sealed) {
				t.Errorf("%s: sealed\n got %x\nwant %x", c.Name(), got, sealed)
			}
		}
	})
}

// TestWithoutKernelEverythingElseHolds runs this package's other tests of AEADs with the standard library's AES-GCM, on a machine
// that would not use it.
func TestWithoutKernelEverythingElseHolds(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, own bool) {
		if own {
			return // they run so by themselves
		}
		t.Run("vectors of ESP", TestVectorsESP)
		t.Run("in place", TestInPlaceEqualsApart)
		t.Run("flipped bits", TestOpenRefusesEveryFlippedBit)
		t.Run("lengths", TestOpenRefusesEveryShorterLength)
		t.Run("cleared key", TestKeyMayBeClearedAfterNew)
		t.Run("goroutines", TestManyGoroutinesShareAProtector)
	})
}
