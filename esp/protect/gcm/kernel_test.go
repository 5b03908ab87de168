package gcm

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// choose selects a kernel for the length of a test.
func choose(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() {
		if err := Select("auto"); err != nil {
			t.Error(err)
		}
	})
	if err := Select(name); err != nil {
		t.Fatal(err)
	}
}

func TestSelectSwitchesNewKeysOnly(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		choose(t, kernel.String())
		if Selected() != kernel.String() {
			t.Fatalf("%s is selected, want %s", Selected(), kernel)
		}
		k := New(random(16), [SaltLen]byte{})
		if k == nil || k.kernel != kernel {
			t.Fatalf("New made %v, want a key for %s", k, kernel)
		}
		before := k.Seal(nil, make([]byte, IVLen), random(100), nil)

		choose(t, "none")
		if New(random(16), [SaltLen]byte{}) != nil || Selected() != "none" {
			t.Error("New makes keys although the kernels are switched off")
		}
		if !bytes.Equal(k.Seal(nil, make([]byte, IVLen), random(100), nil), before) {
			t.Error("switching off changed a key that was made before")
		}
	})
}

func TestAutoIsTheFirstKernel(t *testing.T) {
	choose(t, "none")
	choose(t, "auto")
	if want := append(Kernels(), "none")[0]; Selected() != want {
		t.Errorf("auto is %s, want %s", Selected(), want)
	}
}

func TestSelectRefusesWhatIsNotThere(t *testing.T) {
	choose(t, "none")
	for _, name := range []string{"", "AVX2", "neon"} {
		if Select(name) == nil || Selected() != "none" {
			t.Errorf("%q is accepted, or changed something: %s is selected", name, Selected())
		}
	}
	for _, name := range []string{"avx2", "avx512"} {
		if err := Select(name); (err == nil) != slices.Contains(Kernels(), name) {
			t.Errorf("Select(%q) is %v, and the kernels are %v", name, err, Kernels())
		}
	}
}

// TestAVX2FileNeedsNoAVX512: the assembler takes the sixteen upper registers, and what else AVX-512 has, without a word; a
// CPU without it would stop the process.
func TestAVX2FileNeedsNoAVX512(t *testing.T) {
	extended := regexp.MustCompile(`\b([XY](1[6-9]|2[0-9]|3[01])|Z[0-9]+|K[0-7])\b|AVX512|\b[A-Z]+(32X4|64X2|64X4)\b`)
	for name, want := range map[string]bool{"avx2_amd64.s": false, "setup_amd64.s": false, "avx512_amd64.s": true} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		body := regexp.MustCompile(`(?m)^//.*$`).ReplaceAll(text, nil)
		if found := extended.Find(body); (found != nil) != want {
			t.Errorf("%s: found %q of AVX-512, want any: %v", name, found, want)
		}
	}
}

// TestAssemblerIsThatOfItsSources fails when the generator was changed and not run.
func TestAssemblerIsThatOfItsSources(t *testing.T) {
	names, err := filepath.Glob("asm/*.go")
	if err != nil || len(names) < 5 {
		t.Fatalf("sources %v, %v", names, err)
	}
	h := sha256.New()
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(text)
	}
	want := fmt.Appendf(nil, "// Sources: %x\n", h.Sum(nil))
	for _, name := range []string{"avx2_amd64.s", "avx512_amd64.s", "setup_amd64.s"} {
		if text, err := os.ReadFile(name); err != nil || !bytes.Contains(text, want) {
			t.Errorf("%s is not made of the sources in asm (%v): run go generate ./esp/protect/gcm", name, err)
		}
	}
}
