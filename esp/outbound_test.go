package esp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"twinbore/esp/protect"
)

// TestSealThenOpen carries packets of every length around a block, in both numberings.
func TestSealThenOpen(t *testing.T) {
	for _, alg := range every {
		for _, esn := range []bool{false, true} {
			out, in := pair(t, params(alg, esn, 64))
			for n := range 70 {
				inner := bytes.Repeat([]byte{byte(n)}, n)
				pkt, err := out.Seal(nil, inner, NextIPv6)
				if err != nil {
					t.Fatal(err)
				}
				if len(pkt) != SealedLen(alg, n) {
					t.Errorf("%s: %d octets sealed are %d, SealedLen says %d", alg.Name, n, len(pkt), SealedLen(alg, n))
				}
				got, next, err := in.Open(pkt)
				if err != nil || next != NextIPv6 || !bytes.Equal(got, inner) {
					t.Fatalf("%s esn %v: %d octets opened: %x, next header %d, %v", alg.Name, esn, n, got, next, err)
				}
			}
			if out.Packets() != 70 || in.Packets() != 70 || out.Bytes() != 69*70/2 || in.Bytes() != 69*70/2 {
				t.Errorf("%s: counted %d packets and %d octets out, %d and %d in; want 70 and 2415", alg.Name,
					out.Packets(), out.Bytes(), in.Packets(), in.Bytes())
			}
		}
	}
}

// TestSealLayout looks at the wire: E-01, E-05, RFC 4303 §2.
func TestSealLayout(t *testing.T) {
	for _, alg := range every {
		p := params(alg, false, 64)
		out := outbound(t, p, Limits{})
		for seq := uint64(1); seq <= 3; seq++ {
			pkt, err := out.Seal([]byte("before"), ipv4(61), NextIPv4)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(pkt, []byte("before")) {
				t.Fatalf("%s: dst was not appended to", alg.Name)
			}
			pkt = pkt[len("before"):]
			if spi, n := binary.BigEndian.Uint32(pkt), binary.BigEndian.Uint32(pkt[4:]); spi != uint32(testSPI) || uint64(n) != seq {
				t.Errorf("%s: SPI %08x and number %d, want %s and %d", alg.Name, spi, n, testSPI, seq)
			}
			iv := pkt[headerLen:Headroom(alg)]
			if alg.AEAD && binary.BigEndian.Uint64(iv) != seq {
				t.Errorf("%s: IV %x is not the number %d", alg.Name, iv, seq)
			}
			protector, _ := alg.New(p.Key)
			plaintext, err := protector.Open(nil, iv, pkt[Headroom(alg):], pkt[:headerLen], nil)
			if err != nil {
				t.Fatal(err)
			}
			pad := plaintext[61 : len(plaintext)-2]
			if want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}[:len(pad)]; !bytes.Equal(pad, want) {
				t.Errorf("%s: padding %x, want %x", alg.Name, pad, want)
			}
			if n, next := plaintext[len(plaintext)-2], plaintext[len(plaintext)-1]; int(n) != len(pad) || next != NextIPv4 {
				t.Errorf("%s: pad length %d and next header %d, want %d and 4", alg.Name, n, next, len(pad))
			}
			if len(plaintext)%max(4, alg.Block) != 0 || len(pad) >= max(4, alg.Block) {
				t.Errorf("%s: %d octets of plaintext with %d of padding", alg.Name, len(plaintext), len(pad))
			}
		}
	}
}

// TestSealWhereTheInnerPacketLies seals with headroom, elsewhere, overlapping and without room, to one result.
func TestSealWhereTheInnerPacketLies(t *testing.T) {
	for _, alg := range every {
		p := params(alg, true, 64)
		inner := ipv4(99)
		sealFrom := func(dst, inner []byte) []byte {
			t.Helper()
			out, err := NewOutbound(p, Limits{}, sameIV{})
			if err != nil {
				t.Fatal(err)
			}
			pkt, err := out.Seal(dst, inner, NextIPv4)
			if err != nil {
				t.Fatal(err)
			}
			return pkt
		}
		want := sealFrom(nil, bytes.Clone(inner))
		for _, at := range []int{0, 1, headerLen, Headroom(alg), Headroom(alg) + 1, 60} {
			buf := make([]byte, 200+len(want))
			copy(buf[10+at:], inner)
			got := sealFrom(buf[:10], buf[10+at:10+at+len(inner)])
			if !bytes.Equal(got[10:], want) {
				t.Errorf("%s: inner packet at %d: sealed\n got %x\nwant %x", alg.Name, at, got[10:], want)
			}
			if &got[0] != &buf[0] {
				t.Errorf("%s: inner packet at %d: moved although there was room", alg.Name, at)
			}
		}
		tight := make([]byte, len(want))
		copy(tight[Headroom(alg):], inner)
		if got := sealFrom(tight[:0], tight[Headroom(alg):][:len(inner)]); !bytes.Equal(got, want) || &got[0] != &tight[0] {
			t.Errorf("%s: exactly enough room is not enough", alg.Name)
		}
		short := make([]byte, len(want)-1)
		copy(short[Headroom(alg):], inner)
		if got := sealFrom(short[:0], short[Headroom(alg):][:len(inner)]); !bytes.Equal(got, want) {
			t.Errorf("%s: without room: sealed\n got %x\nwant %x", alg.Name, got, want)
		}
	}
}

// sameIV gives the same octets each time, so that two SAs seal alike.
type sameIV struct{}

func (sameIV) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 0xa5
	}
	return len(b), nil
}

// TestSequenceNeverWraps is RPL-05 and CRY-14.
func TestSequenceNeverWraps(t *testing.T) {
	for _, c := range []struct {
		esn  bool
		last uint64
	}{{false, math.MaxUint32}, {true, math.MaxUint64}} {
		out, in := pair(t, params(protect.AES128GCM16, c.esn, 64))
		in.window.top = c.last - 2
		out.seq = c.last - 2
		for range 2 {
			pkt, err := out.Seal(nil, ipv4(20), NextIPv4)
			if err != nil {
				t.Fatalf("esn %v: number %#x: %v", c.esn, out.seq, err)
			}
			if _, _, err := in.Open(pkt); err != nil {
				t.Errorf("esn %v: number %#x does not open: %v", c.esn, out.seq, err)
			}
		}
		if !out.Spent() {
			t.Errorf("esn %v: not spent near the end", c.esn)
		}
		for range 3 {
			got, err := out.Seal([]byte("kept"), ipv4(20), NextIPv4)
			if !errors.Is(err, ErrSeqExhausted) || string(got) != "kept" {
				t.Fatalf("esn %v: past the last number: %x, error %v, want ErrSeqExhausted", c.esn, got, err)
			}
		}
		if out.Sequence() != c.last {
			t.Errorf("esn %v: number %#x, want %#x", c.esn, out.Sequence(), c.last)
		}
	}
}

// TestNumbersWarnEarly: without limits of its own an SA still asks to be replaced well before its numbers end (CRY-14).
func TestNumbersWarnEarly(t *testing.T) {
	out := outbound(t, params(protect.AES128GCM16, false, 64), Limits{})
	seal(t, out, math.MaxUint32-math.MaxUint32/8-1, ipv4(20))
	if out.Spent() {
		t.Error("spent too early")
	}
	seal(t, out, math.MaxUint32-math.MaxUint32/8, ipv4(20))
	if !out.Spent() {
		t.Error("not spent with an eighth of the numbers left")
	}
	if out.Spent() {
		t.Error("spent twice")
	}
}

// TestLimits is CRY-14 and P-04 for both directions: soft tells once, hard refuses.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limits     Limits
		soft, hard int // packets of 100 octets until the notice, and that pass
	}{
		"packets":     {Limits{SoftPackets: 3, HardPackets: 5}, 3, 5},
		"bytes":       {Limits{SoftBytes: 250, HardBytes: 499}, 3, 4},
		"exact bytes": {Limits{SoftBytes: 300, HardBytes: 500}, 3, 5},
		"hard only":   {Limits{HardPackets: 2}, 3, 2}, // the third is refused, and that is the notice
	} {
		p := params(protect.AES256GCM16, false, 64)
		out, in := outbound(t, p, c.limits), inbound(t, p, c.limits)
		other := outbound(t, p, Limits{})
		outSpent, inSpent := 0, 0
		for i := 1; i <= 8; i++ {
			want := error(nil)
			if i > c.hard {
				want = ErrExpired
			}
			if _, err := out.Seal(nil, ipv4(100), NextIPv4); !errors.Is(err, want) {
				t.Errorf("%s: sealing packet %d: %v, want %v", name, i, err, want)
			}
			wantErr(t, in, seal(t, other, uint64(i), ipv4(100)), want, fmt.Sprintf("%s: opening packet %d", name, i))
			if out.Spent() {
				outSpent = i
			}
			if in.Spent() {
				inSpent = i
			}
		}
		if outSpent != c.soft || inSpent != c.soft {
			t.Errorf("%s: last notice after %d packets out and %d in, want %d", name, outSpent, inSpent, c.soft)
		}
	}
}

// TestCBCVectorsAreRandom is CRY-06: from the random source, neither a counter nor the last block before.
func TestCBCVectorsAreRandom(t *testing.T) {
	p := params(protect.CBC(128, protect.HMACSHA256), false, 64)
	source := "0123456789abcdefFEDCBA9876543210"
	out, err := NewOutbound(p, Limits{}, strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{source[:16], source[16:]} {
		pkt, err := out.Seal(nil, ipv4(40), NextIPv4)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(pkt[headerLen : headerLen+16]); got != want {
			t.Errorf("IV %q, want the octets of the random source %q", got, want)
		}
	}
	if pkt, err := out.Seal([]byte("kept"), ipv4(40), NextIPv4); err == nil || string(pkt) != "kept" {
		t.Errorf("with an empty random source: %x, error %v, want one", pkt, err)
	}

	out = outbound(t, p, Limits{})
	seen := map[string]bool{}
	var before []byte // last block of the packet before
	for range 1000 {
		pkt, err := out.Seal(nil, ipv4(40), NextIPv4)
		if err != nil {
			t.Fatal(err)
		}
		iv := string(pkt[headerLen : headerLen+16])
		if seen[iv] || iv == string(before) {
			t.Fatalf("IV %x came before", iv)
		}
		seen[iv] = true
		before = pkt[len(pkt)-p.Algorithm.TagLen-16 : len(pkt)-p.Algorithm.TagLen]
	}
}

func TestSealTellsOfABrokenRandomSource(t *testing.T) {
	broken := errors.New("broken")
	out, err := NewOutbound(params(protect.CBC(128, protect.HMACSHA256), false, 64), Limits{}, iotest.ErrReader(broken))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Seal(nil, ipv4(40), NextIPv4); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the source", err)
	}
}

// TestSealNumbersAreUnique: many goroutines, no (key, IV) twice (CRY-05).
func TestSealNumbersAreUnique(t *testing.T) {
	out, in := pair(t, params(protect.AES128GCM16, true, 1024))
	const goroutines, each = 8, 100
	pkts := make([][][]byte, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range each {
				pkt, err := out.Seal(nil, ipv4(64), NextIPv4)
				if err != nil {
					t.Error(err)
					return
				}
				pkts[g] = append(pkts[g], pkt)
			}
		})
	}
	wg.Wait()
	ivs := map[string]bool{}
	for _, mine := range pkts {
		for _, pkt := range mine {
			ivs[string(pkt[headerLen:Headroom(out.Algorithm())])] = true
			if _, _, err := in.Open(pkt); err != nil {
				t.Errorf("packet %d: %v", binary.BigEndian.Uint32(pkt[4:]), err)
			}
		}
	}
	if len(ivs) != goroutines*each {
		t.Errorf("%d IVs for %d packets", len(ivs), goroutines*each)
	}
}
