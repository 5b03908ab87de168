package wire

import (
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// allocated is how many octets f allocates in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// offer is the body of an SA payload: proposal 1 of ESP with an SPI, one transform with a key length, and one without.
//
//	 0 proposal: last 0, reserved, length 32    4 number 1, protocol 3, SPI size 4, transforms 2    8 SPI
//	12 transform: last 3, reserved, length 12   16 type 1, reserved, ID 12                          20 key length 256
//	24 transform: last 0, reserved, length 8    28 type 3, reserved, ID 12
func offer() []byte {
	return []byte{
		0, 0, 0, 32, 1, 3, 4, 2, 0xa, 0xb, 0xc, 0xd,
		3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0,
		0, 0, 0, 8, 3, 0, 0, 12,
	}
}

func offered() *SA {
	return &SA{Proposals: []Proposal{{Number: 1, Protocol: ProtoESP, SPI: []byte{0xa, 0xb, 0xc, 0xd}, Transforms: []Transform{
		{Type: TransformENCR, ID: 12, KeyBits: 256}, {Type: TransformINTEG, ID: 12}}}}}
}

func TestSAHasTheFormOfTheRFC(t *testing.T) { // RFC 7296 §3.3
	if got := one[*SA](t, TypeSA, raw(None, 0, offer()...)); !reflect.DeepEqual(got, offered()) {
		t.Errorf("read %+v, want %+v", got, offered())
	}
	if got := body(offered()); !slices.Equal(got, offer()) {
		t.Errorf("wrote %x, want %x", got, offer())
	}
}

func TestSAFaultsOfStructureAreRefused(t *testing.T) { // MAL-09, N-05: lengths, counts and last flags agree
	for what, change := range map[string]func(b []byte) []byte{
		"proposal last flag says more":        func(b []byte) []byte { b[0] = 2; return b },
		"proposal last flag 3":                func(b []byte) []byte { b[0] = 3; return b },
		"proposal length one less":            func(b []byte) []byte { b[3]--; return b },
		"proposal length one more":            func(b []byte) []byte { b[3]++; return b },
		"proposal length 0":                   func(b []byte) []byte { b[3] = 0; return b },
		"proposal length 7":                   func(b []byte) []byte { b[3] = 7; return b },
		"SPI size one less":                   func(b []byte) []byte { b[6]--; return b },
		"SPI size one more":                   func(b []byte) []byte { b[6]++; return b },
		"SPI size 255":                        func(b []byte) []byte { b[6] = 255; return b },
		"one transform fewer than there are":  func(b []byte) []byte { b[7]--; return b },
		"one transform more than there are":   func(b []byte) []byte { b[7]++; return b },
		"no transform, and there are":         func(b []byte) []byte { b[7] = 0; return b },
		"255 transforms":                      func(b []byte) []byte { b[7] = 255; return b },
		"first transform says it is the last": func(b []byte) []byte { b[12] = 0; return b },
		"last transform says there are more":  func(b []byte) []byte { b[24] = 3; return b },
		"transform last flag 2":               func(b []byte) []byte { b[12] = 2; return b },
		"transform length one less":           func(b []byte) []byte { b[15]--; return b },
		"transform length one more":           func(b []byte) []byte { b[15]++; return b },
		"transform length 7":                  func(b []byte) []byte { b[27] = 7; return b },
		"transform length 0":                  func(b []byte) []byte { b[27] = 0; return b },
		"attribute longer than its transform": func(b []byte) []byte { b[20] = 0; return b },
		"no proposal":                         func([]byte) []byte { return nil },
		"a second proposal after the last":    func(b []byte) []byte { return append(b, b...) },
	} {
		refused(t, what, TypeSA, raw(None, 0, change(offer())...))
	}
}

func TestSANumbersAreLeftToTheSuite(t *testing.T) { // MAL-09, RFC 7296 §3.3.6: others are judged as usual
	want := &SA{Proposals: []Proposal{
		{Number: 0, Protocol: 0},
		{Number: 2, Protocol: ProtoIKE, SPI: make([]byte, 8), Transforms: []Transform{{Type: 241, ID: 65535, KeyBits: 65535}}},
		{Number: 1, Protocol: ProtoESP, SPI: make([]byte, 255), Transforms: []Transform{{Type: TransformADDKE1, ID: 36}}},
	}}
	if got := one[*SA](t, TypeSA, AppendPayloads(nil, []Payload{want})); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
}

func TestSAIgnoresReservedOctets(t *testing.T) { // N-03
	b := offer()
	for _, i := range []int{1, 13, 17, 25, 29} {
		b[i] = 0xff
	}
	if got := one[*SA](t, TypeSA, raw(None, 0, b...)); !reflect.DeepEqual(got, offered()) {
		t.Errorf("read %+v, want %+v", got, offered())
	}
}

func TestTransformAttributes(t *testing.T) { // MAL-09, N-05, RFC 7296 §3.3.5, §3.3.6
	keyLength := []byte{0x80, 14, 0, 128}
	for _, c := range []struct {
		what  string
		attrs []byte
		bits  uint16
		bad   bool
	}{
		{"none", nil, 0, false},
		{"key length 128", keyLength, 128, false},
		{"key length 65535", []byte{0x80, 14, 0xff, 0xff}, 65535, false},
		{"key length 0", []byte{0x80, 14, 0, 0}, 0, true},
		{"key length twice, the same", append(slices.Clone(keyLength), keyLength...), 128, true},
		{"key length twice, another", append(slices.Clone(keyLength), 0x80, 14, 1, 0), 128, true},
		{"key length 0 and then 128", append([]byte{0x80, 14, 0, 0}, keyLength...), 128, true},
		{"key length in the long form", []byte{0, 14, 0, 2, 0, 128}, 0, true},
		{"unknown, short", []byte{0x80, 15, 0, 1}, 0, true},
		{"unknown, long and empty", []byte{0, 99, 0, 0}, 0, true},
		{"unknown, long, after a key length", append(slices.Clone(keyLength), 0x7f, 0xff, 0, 3, 1, 2, 3), 128, true},
	} {
		b := []byte{0, 0, 0, byte(16 + len(c.attrs)), 1, 1, 0, 1, 0, 0, 0, byte(8 + len(c.attrs)), 1, 0, 0, 12}
		sa := one[*SA](t, TypeSA, raw(None, 0, append(b, c.attrs...)...))
		want := Transform{Type: TransformENCR, ID: 12, KeyBits: c.bits, Bad: c.bad}
		if got := sa.Proposals[0].Transforms[0]; got != want {
			t.Errorf("%s: got %+v, want %+v", c.what, got, want)
		}
		if again := one[*SA](t, TypeSA, AppendPayloads(nil, []Payload{sa})); !reflect.DeepEqual(again, sa) {
			t.Errorf("%s: written again reads %+v, want %+v", c.what, again, sa)
		}
		for n := 1; n < len(c.attrs); n++ {
			if n%4 == 0 && c.attrs[0] >= 0x80 {
				continue // a whole attribute
			}
			cut := append(slices.Clone(b), c.attrs[:n]...)
			cut[3], cut[11] = byte(16+n), byte(8+n)
			refused(t, fmt.Sprintf("%s, cut to %d octets", c.what, n), TypeSA, raw(None, 0, cut...))
		}
	}
}

func TestSALimitsAreCheckedBeforeStoring(t *testing.T) {
	proposals := func(n int) *SA { return &SA{Proposals: make([]Proposal, n)} }
	transforms := func(n int) *SA { return &SA{Proposals: []Proposal{{Transforms: make([]Transform, n)}}} }
	one[*SA](t, TypeSA, AppendPayloads(nil, []Payload{proposals(MaxProposals)}))
	one[*SA](t, TypeSA, AppendPayloads(nil, []Payload{transforms(MaxTransforms)}))
	refused(t, "a proposal too many", TypeSA, AppendPayloads(nil, []Payload{proposals(MaxProposals + 1)}))
	refused(t, "a transform too many", TypeSA, AppendPayloads(nil, []Payload{transforms(MaxTransforms + 1)}))
}

// instrumented reports whether the test was built with the race detector or for coverage, which make loops some
// twenty times slower.
func instrumented() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return (s.Key == "-race" || s.Key == "-cover") && s.Value == "true"
	})
}

func TestHugeSAIsBounded(t *testing.T) { // MAL-11: at most 5 ms and 256 kB
	limit := 5 * time.Millisecond
	if instrumented() {
		limit *= 40
	}
	full := &SA{Proposals: slices.Repeat([]Proposal{{Transforms: make([]Transform, 127)}}, 63)}
	attrs := make([]byte, 65000) // of one transform, 16250 of them
	for i := 0; i < len(attrs); i += 4 {
		attrs[i], attrs[i+1], attrs[i+3] = 0x80, 14, 1
	}
	n := len(attrs)
	oneTransform := append([]byte{0, 0, byte((n + 16) >> 8), byte(n + 16), 1, 1, 0, 1,
		0, 0, byte((n + 8) >> 8), byte(n + 8), 1, 0, 0, 12}, attrs...)
	for what, b := range map[string][]byte{
		"8001 transforms":  body(full),
		"16250 attributes": oneTransform,
		"8000 proposals":   body(&SA{Proposals: make([]Proposal, 8000)}),
		"255-octet SPIs":   body(&SA{Proposals: slices.Repeat([]Proposal{{SPI: make([]byte, 255)}}, MaxProposals)}),
	} {
		chain := raw(None, 0, b...)
		if used := allocated(func() { ParsePayloads(TypeSA, chain) }); used > 256<<10 {
			t.Errorf("%s: %d octets allocated for %d received, want at most 256 kB", what, used, len(chain))
		}
		best := time.Hour
		for range 10 {
			start := time.Now()
			ParsePayloads(TypeSA, chain)
			best = min(best, time.Since(start))
		}
		if best > limit {
			t.Errorf("%s: %v for %d octets, want at most %v", what, best, len(chain), limit)
		}
	}
}
