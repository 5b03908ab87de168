package esp

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"twinbore/esp/protect"
)

func TestOpenRefusesReplays(t *testing.T) { // RPL-01, E-02
	for _, window := range []int{64, 128, 1024, 4096} { // RPL-03
		for _, esn := range []bool{false, true} {
			out, in := pair(t, params(protect.AES128GCM16, esn, window))
			w := uint64(window)
			const top = 10000
			steps := []struct {
				seq  uint64
				want error
			}{
				{1, nil}, {1, ErrReplay}, {3, nil}, {2, nil}, {2, ErrReplay},
				{top, nil}, {top, ErrReplay},
				{top - w + 1, nil}, {top - w + 1, ErrReplay}, // the oldest that the window holds
				{top - 1, nil}, {top - 1, ErrReplay},
				{top + 1, nil},
				{top - w + 1, ErrReplay}, // now one too old
				{top + 1 + w, nil}, {top + 2, nil}, {top + 1, ErrReplay},
			}
			for i, s := range steps {
				want := s.want
				if esn && want == ErrReplay && s.seq+w <= in.window.top {
					want = ErrAuth // behind the window is read as the next epoch, whose integrity check fails
				}
				wantErr(t, in, seal(t, out, s.seq, ipv4(40)), want, fmt.Sprintf("window %d esn %v step %d: number %d", window, esn, i, s.seq))
			}
		}
	}
}

func TestForgedNumberMovesNothing(t *testing.T) { // RPL-02, E-02
	for _, esn := range []bool{false, true} {
		out, in := pair(t, params(protect.AES128GCM16, esn, 64))
		wantErr(t, in, seal(t, out, 5, ipv4(40)), nil, "number 5")
		before := in.window.top
		forged := seal(t, out, 900000, ipv4(40))
		forged[len(forged)-1] ^= 1
		wantErr(t, in, forged, ErrAuth, "forged")
		if in.window.top != before || in.Packets() != 1 {
			t.Errorf("esn %v: a forged packet moved the window to %d, counted %d packets", esn, in.window.top, in.Packets())
		}
		wantErr(t, in, seal(t, out, 6, ipv4(40)), nil, "number 6")
	}
}

func TestNumberZeroAndGreatJumps(t *testing.T) { // RPL-03
	p := params(protect.AES128GCM16, false, 64)
	out, in := pair(t, p)
	zero := sealPlain(t, p, 0, []byte{1, 2, 2, 4})
	wantErr(t, in, zero, ErrReplay, "number 0 at the start")
	wantErr(t, in, seal(t, out, 1<<31, ipv4(40)), nil, "a jump of 2^31")
	wantErr(t, in, seal(t, out, 1, ipv4(40)), ErrReplay, "number 1 after it")
	wantErr(t, in, seal(t, out, 1<<32-1, ipv4(40)), nil, "a jump to the last number")
	wantErr(t, in, zero, ErrReplay, "number 0 at the end")
	wantErr(t, in, seal(t, out, 1<<32-64, ipv4(40)), nil, "the oldest in the last window")
	wantErr(t, in, seal(t, out, 1<<32-65, ipv4(40)), ErrReplay, "one older")
}

// TestESNSteps is RPL-04: the cases of RFC 4303 Appendix A2.2 with a window of 64, over two turns of the low half. The
// sender seals with the whole number; what the receiver takes for another epoch fails its integrity check.
func TestESNSteps(t *testing.T) {
	for _, alg := range every {
		out, in := pair(t, params(alg, true, 64))
		for i, s := range []struct {
			seq  uint64
			want error
			why  string
		}{
			{0xfffffff0, ErrReplay, "case B at the start: there is no epoch before the first"},
			{1, nil, "the first"},
			{1, ErrReplay, "again"},
			{64, nil, "case A from here"},
			{0xfffffffd, nil, "nearly a whole turn at once"},
			{0xfffffffc, nil, "late, in the window"},
			{0xfffffffd, ErrReplay, "again"},
			{0x100000005, nil, "over the turn: case B from here"},
			{0x100000000, nil, "late, low half 0"},
			{0xffffffff, nil, "late, from the epoch before"},
			{0xffffffff, ErrReplay, "again"},
			{0xffffffc6, nil, "the lower edge, in the epoch before"},
			{0xffffffc5, ErrAuth, "below the edge: taken for this epoch"},
			{0x100000005, ErrReplay, "again"},
			{0x100000044, nil, "case A again"},
			{0x100000006, nil, "late"},
			{0x100000005, ErrReplay, "the lower edge, seen"},
			{0x100000004, ErrAuth, "below the edge: taken for the next epoch"},
			{0x1ffffffff, nil, "a whole turn less a little"},
			{0x200000999, nil, "over the second turn"},
			{0x1ffffffff, ErrAuth, "an epoch back, no longer in the window"},
			{0x20000095a, nil, "the lower edge"},
			{0x200000959, ErrAuth, "below it"},
			{0x200000999, ErrReplay, "again"},
			{0x300000959, nil, "the furthest step that can be told: the edge and 2^32 less 1"},
		} {
			wantErr(t, in, seal(t, out, s.seq, ipv4(40)), s.want, fmt.Sprintf("%s: step %d, %#x, %s", alg.Name, i, s.seq, s.why))
		}
	}
}

func TestESNAtTheVeryEnd(t *testing.T) {
	out, in := pair(t, params(protect.AES256GCM16, true, 64))
	in.window.top = 1<<64 - 3
	last := seal(t, out, 1<<64-1, ipv4(40))
	wantErr(t, in, last, nil, "the last number")
	wantErr(t, in, last, ErrReplay, "again")
	wantErr(t, in, seal(t, out, 1<<64-2, ipv4(40)), nil, "late")
	wantErr(t, in, seal(t, out, 1, ipv4(40)), ErrReplay, "a number past 2^64")
}

func TestOneOfManySucceeds(t *testing.T) { // RPL-06
	for _, alg := range []*protect.Algorithm{protect.AES128GCM16, protect.CBC(256, protect.HMACSHA256)} {
		out, in := pair(t, params(alg, true, 64))
		for range 40 {
			pkt, err := out.Seal(nil, ipv4(200), NextIPv4)
			if err != nil {
				t.Fatal(err)
			}
			var passed, replays atomic.Int32
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					switch _, _, err := open(in, pkt); {
					case err == nil:
						passed.Add(1)
					case errors.Is(err, ErrReplay):
						replays.Add(1)
					}
				})
			}
			wg.Wait()
			if passed.Load() != 1 || replays.Load() != 7 {
				t.Fatalf("%s: %d passed and %d were replays of 8, want 1 and 7", alg.Name, passed.Load(), replays.Load())
			}
		}
	}
}

// TestWindowIsAskedAgain: a number that passed the first look at the window twice is taken once (RPL-06).
func TestWindowIsAskedAgain(t *testing.T) {
	_, in := pair(t, params(protect.AES128GCM16, true, 64))
	in.Begin()
	for range 2 {
		if seq, err := in.admit(7); seq != 7 || err != nil {
			t.Fatalf("number 7 is read as %d, %v", seq, err)
		}
	}
	if err := in.take(7, 40); err != nil {
		t.Errorf("the faster one: %v", err)
	}
	if err := in.take(7, 40); !errors.Is(err, ErrReplay) {
		t.Errorf("the slower one: error %v, want ErrReplay", err)
	}
	in.End()
	if in.Packets() != 1 {
		t.Errorf("%d packets counted, want 1", in.Packets())
	}
}

// TestReplayIsRefusedBeforeTheIntegrityCheck: a flood of old packets must not cost decryption (E-02).
func TestReplayIsRefusedBeforeTheIntegrityCheck(t *testing.T) {
	out, in := pair(t, params(protect.AES128GCM16, false, 64))
	pkt := seal(t, out, 1, ipv4(40))
	wantErr(t, in, pkt, nil, "the first time")
	pkt[len(pkt)-1] ^= 1
	wantErr(t, in, pkt, ErrReplay, "again, with a broken integrity check")
}

func TestWindowOff(t *testing.T) { // RPL-10
	out, in := pair(t, params(protect.AES128GCM16, false, 0))
	pkt := seal(t, out, 7, ipv4(40))
	wantErr(t, in, pkt, nil, "the first time")
	wantErr(t, in, pkt, nil, "the second time")
	pkt[20] ^= 1
	wantErr(t, in, pkt, ErrAuth, "broken")
}

// TestOpenRefusesEveryLength is ESP-01.
func TestOpenRefusesEveryLength(t *testing.T) {
	for _, alg := range every {
		out, in := pair(t, params(alg, false, 64))
		pkt := seal(t, out, 1, ipv4(60))
		short := Headroom(alg) + alg.TagLen + 2
		for n := range len(pkt) {
			_, _, err := open(in, pkt[:n])
			if !errors.Is(err, ErrMalformed) && !(n > short && errors.Is(err, ErrAuth)) {
				t.Errorf("%s: %d octets: error %v", alg.Name, n, err)
			}
		}
		for _, n := range []int{len(pkt) + 1, len(pkt) + 16, 65535} {
			if _, _, err := open(in, append(bytes.Clone(pkt), make([]byte, n-len(pkt))...)); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrAuth) {
				t.Errorf("%s: %d octets: error %v", alg.Name, n, err)
			}
		}
		wantErr(t, in, pkt, nil, alg.Name+": the packet itself")
	}
}

// TestOpenRefusesEveryFlippedBit is CRY-07 and E-03.
func TestOpenRefusesEveryFlippedBit(t *testing.T) {
	for _, alg := range every {
		for _, esn := range []bool{false, true} {
			out, in := pair(t, params(alg, esn, 64))
			pkt := seal(t, out, 1, ipv4(40))
			for bit := range len(pkt) * 8 {
				broken := bytes.Clone(pkt)
				broken[bit/8] ^= 1 << (bit % 8)
				inner, _, err := in.Open(broken)
				if err == nil || inner != nil {
					t.Fatalf("%s: bit %d flipped: %x, %v", alg.Name, bit, inner, err)
				}
				want := ErrAuth
				switch {
				case bit < 32:
					want = ErrUnknownSPI
				case bit < 64 && errors.Is(err, ErrReplay):
					continue // the flipped number is 0 or none
				}
				if !errors.Is(err, want) {
					t.Errorf("%s: bit %d flipped: error %v, want %v", alg.Name, bit, err, want)
				}
			}
			if in.Packets() != 0 {
				t.Errorf("%s: %d broken packets were counted as good", alg.Name, in.Packets())
			}
			wantErr(t, in, pkt, nil, alg.Name+": the packet itself")
		}
	}
}

// TestPaddingIsChecked is ESP-02: all pad lengths over a plaintext of 64 octets, right and wrong padding.
func TestPaddingIsChecked(t *testing.T) {
	for _, alg := range []*protect.Algorithm{protect.AES128GCM16, protect.CBC(128, protect.HMACSHA256)} {
		p := params(alg, false, 64)
		in := inbound(t, p, Limits{})
		seq := uint64(0)
		try := func(plaintext []byte) ([]byte, uint8, error) {
			seq++
			return in.Open(sealPlain(t, p, seq, plaintext))
		}
		for pad := range 256 {
			plaintext := bytes.Repeat([]byte{0xee}, 64)
			plaintext[62], plaintext[63] = byte(pad), 77
			for i := range min(pad, 62) {
				plaintext[61-i] = byte(pad - i)
			}
			inner, next, err := try(bytes.Clone(plaintext))
			if pad > 62 {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("%s: pad length %d: error %v, want ErrMalformed", alg.Name, pad, err)
				}
				continue
			}
			if err != nil || next != 77 || !bytes.Equal(inner, plaintext[:62-pad]) {
				t.Errorf("%s: pad length %d: %x, next header %d, %v", alg.Name, pad, inner, next, err)
			}
			for i := range pad {
				broken := bytes.Clone(plaintext)
				broken[62-pad+i]++
				if _, _, err := try(broken); !errors.Is(err, ErrMalformed) {
					t.Fatalf("%s: pad octet %d of %d wrong: error %v, want ErrMalformed", alg.Name, i, pad, err)
				}
			}
		}
		if in.Packets() != seq {
			t.Errorf("%s: %d packets counted, want all %d: they were authentic", alg.Name, in.Packets(), seq)
		}
	}
}

func TestNextHeaders(t *testing.T) { // ESP-02, E-05
	p := params(protect.AES256GCM16, false, 1024)
	out, in := pair(t, p)
	for next := range 256 {
		pkt, err := out.Seal(nil, ipv4(24), uint8(next))
		if err != nil {
			t.Fatal(err)
		}
		plaintext, got, err := in.Open(pkt)
		if next == 59 {
			if !errors.Is(err, ErrDummy) {
				t.Errorf("dummy: error %v", err)
			}
			continue
		}
		if err != nil || int(got) != next {
			t.Fatalf("next header %d opens as %d, %v", next, got, err)
		}
		if _, err := Inner(got, plaintext); (err == nil) != (next == NextIPv4) {
			t.Errorf("next header %d before an IPv4 packet: %v", next, err)
		}
	}
}

func TestOpenRefusesAnotherSPI(t *testing.T) { // ESP-04, E-04
	p := params(protect.AES128GCM16, false, 64)
	in := inbound(t, p, Limits{})
	for _, spi := range []SPI{0, 1, 255, testSPI + 1} {
		other := p
		other.SPI = spi
		wantErr(t, in, sealPlain(t, other, 1, []byte{1, 2, 2, 4}), ErrUnknownSPI, spi.String())
	}
}
