package esp

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"twinbore/esp/protect"
)

// A run sealed from one buffer to another is what Seal makes of the same packets, and the buffer is as it was.
func TestRunIsWhatSealMakes(t *testing.T) {
	for _, alg := range every {
		for _, esn := range []bool{false, true} {
			p := params(alg, esn, 64)
			zeros := zeroReader{}
			one, err1 := NewOutbound(p, Limits{}, zeros)
			run, err2 := NewOutbound(p, Limits{}, zeros)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			in := inbound(t, p, Limits{})
			const n, size, last = 9, 101, 37
			slab := make([]byte, (n-1)*size+last, (n-1)*size+last+5) // behind the last there is little room
			for i := range slab {
				slab[i] = byte(i * 7)
			}
			before := bytes.Clone(slab)
			first, granted, err := run.Reserve(n, size, last)
			if first != 1 || granted != n || err != nil {
				t.Fatalf("Reserve = %d, %d, %v; want 1, %d", first, granted, err, n)
			}
			var sealed []byte
			in.Begin()
			for i := range n {
				inner := slab[i*size : min((i+1)*size, len(slab))]
				want, err := one.Seal(nil, inner, NextIPv4)
				if err != nil {
					t.Fatal(err)
				}
				at := len(sealed)
				if sealed, err = run.SealAs(sealed, inner, NextIPv4, first+uint64(i)); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(sealed[at:], want) {
					t.Errorf("%s: packet %d is\n%x, Seal makes\n%x", alg.Name, i, sealed[at:], want)
				}
				head := []byte("head")
				plain, next, err := in.OpenNext(append(make([]byte, 0, 300), head...), want)
				if err != nil || next != NextIPv4 || !bytes.Equal(plain, inner) {
					t.Errorf("%s: packet %d opens as %x, %d, %v", alg.Name, i, plain, next, err)
				}
			}
			in.End()
			if !bytes.Equal(slab, before) {
				t.Errorf("%s: the buffer of the inner packets changed", alg.Name)
			}
			if run.Packets() != n || run.Bytes() != uint64(len(slab)) || in.Packets() != n || in.Bytes() != uint64(len(slab)) {
				t.Errorf("%s: counted %d, %d out, %d, %d in", alg.Name, run.Packets(), run.Bytes(), in.Packets(), in.Bytes())
			}
		}
	}
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A run that meets a limit is cut where single packets would be.
func TestRunMeetsTheLimits(t *testing.T) { // RPL-05
	const n, size, last = 10, 100, 30
	tests := []struct {
		name   string
		limits Limits
		seq    uint64 // already used
		want   int
		err    error
	}{
		{"none", Limits{}, 0, 10, nil},
		{"packets", Limits{HardPackets: 7}, 0, 7, ErrExpired},
		{"octets, inside", Limits{HardBytes: 450}, 0, 4, ErrExpired},
		{"octets, before the last", Limits{HardBytes: 929}, 0, 9, ErrExpired},
		{"octets, all", Limits{HardBytes: 930}, 0, 10, nil},
		{"numbers", Limits{}, math.MaxUint32 - 3, 3, ErrSeqExhausted},
		{"no number", Limits{}, math.MaxUint32, 0, ErrSeqExhausted},
	}
	for _, tt := range tests {
		o := outbound(t, params(protect.AES128GCM16, false, 0), tt.limits)
		o.seq = tt.seq
		first, granted, err := o.Reserve(n, size, last)
		if first != tt.seq+1 || granted != tt.want || err != tt.err {
			t.Errorf("%s: Reserve = %d, %d, %v; want %d, %d, %v", tt.name, first, granted, err, tt.seq+1, tt.want, tt.err)
		}
		if tt.err != nil && !o.Spent() {
			t.Errorf("%s: nobody is told that the SA must be replaced", tt.name)
		}
		if o.Packets() != uint64(tt.want) || o.Sequence() != tt.seq+uint64(tt.want) {
			t.Errorf("%s: %d packets counted, number %d", tt.name, o.Packets(), o.Sequence())
		}
	}
	o := outbound(t, params(protect.AES128GCM16, true, 0), Limits{})
	o.seq = math.MaxUint64 - 2
	if _, granted, err := o.Reserve(n, size, last); granted != 2 || err != ErrSeqExhausted {
		t.Errorf("at the end of ESN: %d, %v", granted, err)
	}
}

// A forged packet in the middle of a run is lost alone, and so is one that comes twice (RPL-01, RPL-02).
func TestRunWithAForgedPacket(t *testing.T) {
	for _, alg := range every {
		out, in := pair(t, params(alg, true, 64))
		var run [][]byte
		for i := range 5 {
			run = append(run, seal(t, out, uint64(i+1), ipv4(60+i)))
		}
		run[2] = bytes.Clone(run[2])
		run[2][len(run[2])-1] ^= 1
		run = append(run, run[1])
		in.Begin()
		for i, want := range []error{nil, nil, ErrAuth, nil, nil, ErrReplay} {
			room := make([]byte, 0, 200)
			if _, _, err := in.OpenNext(room, run[i]); err != want {
				t.Errorf("%s: packet %d: %v, want %v", alg.Name, i, err, want)
			}
		}
		in.End()
		if in.Packets() != 4 {
			t.Errorf("%s: %d counted, want 4", alg.Name, in.Packets())
		}
	}
}
