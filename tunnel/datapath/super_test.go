package datapath

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"twinbore/tunnel/tun"
	"twinbore/tunnel/tun/tuntest"
)

// superpacket builds one as the kernel hands it over, with n octets of payload to be cut by size. flags and options
// are TCP's; for UDP they are left out.
func superpacket(src, dst string, proto uint8, n, size int, flags byte, options ...byte) *tun.Frame {
	head := 8
	if proto == protoTCP {
		head = 20 + len(options)
	}
	u := make([]byte, head+n)
	put16(u, 0, 5001)
	put16(u, 2, 443)
	for i := range n {
		u[head+i] = byte(i*7 + i/251)
	}
	f := &tun.Frame{Kind: tun.UDP, Size: size, NeedsSum: true, SumStart: 20, SumOffset: 6}
	if proto == protoTCP {
		copy(u[4:], []byte{0xff, 0xff, 0xf0, 0, 1, 2, 3, 4}) // the sequence number wraps on the way
		u[12], u[13], u[14], u[15] = byte(head/4)<<4, flags, 2, 0
		copy(u[20:], options)
		f.Kind, f.SumOffset = tun.TCP4, 16
	} else {
		put16(u, 4, len(u))
	}
	b := ip(src, dst, proto, u)
	if b[0]>>4 == 6 {
		f.SumStart = 40
		if proto == protoTCP {
			f.Kind = tun.TCP6
		}
	} else {
		put16(b, 4, 0xfffe) // so does the identification
		b = withDF(b)
	}
	// The sum of the pseudo-header: the checksum of an upper layer that is all zeros.
	zeros := append(b[:f.SumStart:f.SumStart], make([]byte, len(u))...)
	put16(b, f.SumStart+f.SumOffset, int(^upperChecksum(zeros, proto, len(u))))
	f.Buf, f.N = b, len(b)
	return f
}

var timestamps = []byte{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}

// superpackets are of every kind and of sizes around the edges.
func superpackets() (all []*tun.Frame) {
	for _, n := range []int{1, 2, 99, 100, 101, 199, 200, 1000, 60000} {
		for _, size := range []int{1, 3, 100, 1386, 65000} {
			if n/size > 2000 {
				continue
			}
			for _, ends := range [][2]string{{paris, hq}, {paris6, hq6}} {
				all = append(all,
					superpacket(ends[0], ends[1], protoTCP, n, size, tcpACK|tcpPSH|tcpFIN|tcpCWR|0x40, timestamps...),
					superpacket(ends[0], ends[1], protoTCP, n, size, tcpACK),
					superpacket(ends[0], ends[1], protoUDP, n, size, 0))
			}
		}
	}
	return all
}

func (f frameName) String() string {
	return fmt.Sprintf("kind %d, %d octets by %d", f.Kind, f.N, f.Size)
}

type frameName tun.Frame

// inSlot copies a frame to where the device would have put it, with other octets around.
func inSlot(f *tun.Frame) *tun.Frame {
	g := newArena(slotStride).frame()
	for i := range headroom {
		g.Buf[i] = 0xaa
	}
	copy(g.Buf[headroom:], f.Packet())
	buf, at := g.Buf, g.At
	g = *f
	g.Buf, g.At = buf, at
	return &g
}

func segments(t testing.TB, f *tun.Frame) [][]byte {
	t.Helper()
	packets, ok := tuntest.Segments(f)
	if !ok {
		t.Fatalf("%v: no superpacket", frameName(*f))
	}
	return packets
}

// What is cut in place is what the plain way makes.
func TestCutInPlace(t *testing.T) {
	for _, f := range superpackets() {
		want := segments(t, f)
		slot := inSlot(f)
		p := parsed(t, slot.Packet())
		var c cutter
		if !c.start(slot, &p) {
			t.Errorf("%v: not cut", frameName(*f))
			continue
		}
		if c.packets() != len(want) {
			t.Errorf("%v: %d packets, want %d", frameName(*f), c.packets(), len(want))
			continue
		}
		each, last := c.sizes()
		for i := range want {
			got := c.packet(i)
			if !bytes.Equal(got, want[i]) {
				t.Errorf("%v: packet %d is\n%x, want\n%x", frameName(*f), i, got[:min(len(got), 80)], want[i][:min(len(want[i]), 80)])
				break
			}
			if i < len(want)-1 && len(got) != each || i == len(want)-1 && len(got) != last {
				t.Errorf("%v: packet %d of %d has %d octets, sizes says %d and %d", frameName(*f), i, len(want), len(got), each, last)
			}
		}
		if b := slot.Buf[:headroom]; !bytes.Equal(b, bytes.Repeat([]byte{0xaa}, headroom)) {
			t.Errorf("%v: something was written in front", frameName(*f))
		}
	}
}

func TestSumOfEveryLength(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 1600)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for n := range b {
		for _, at := range []int{0, 1, 7} {
			part := b[at:max(at, n)]
			if got, want := checksum(sum16(0, part)), onesComplement(part); got != want && got+want != 0xffff {
				t.Fatalf("%d octets from %d: %04x, want %04x", len(part), at, got, want)
			}
		}
	}
	for _, full := range [][]byte{bytes.Repeat([]byte{0xff}, 65534), make([]byte, 65534)} {
		if got := fold(sum16(0, full)); got != uint16(full[0])*0x101 {
			t.Errorf("the sum of 65534 times %02x is %04x", full[0], got)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 64, 200, 1400} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				sum16(0, data)
			}
		})
	}
}

// A superpacket that cannot be right is dropped, and reading it leaves its buffer.
func TestWhatIsNoSuperpacket(t *testing.T) {
	for name, change := range map[string]func(f *tun.Frame){
		"size 0":                    func(f *tun.Frame) { f.Size = 0 },
		"no payload":                func(f *tun.Frame) { f.N = 40; put16(f.Buf, f.At+2, 40) },
		"checksum elsewhere":        func(f *tun.Frame) { f.SumStart = 24 },
		"checksum made":             func(f *tun.Frame) { f.NeedsSum = false },
		"another family":            func(f *tun.Frame) { f.Kind = tun.TCP6 },
		"another protocol":          func(f *tun.Frame) { f.Kind = tun.UDP },
		"a kind nobody asked for":   func(f *tun.Frame) { f.Kind = tun.Unknown },
		"a fragment":                func(f *tun.Frame) { f.Buf[f.At+6] = 0x20 },
		"TCP header below 20":       func(f *tun.Frame) { f.Buf[f.At+32] = 0x40 },
		"TCP header above the rest": func(f *tun.Frame) { f.Buf[f.At+32] = 0xf0; f.N = 60; put16(f.Buf, f.At+2, 60) },
	} {
		f := inSlot(superpacket(paris, hq, protoTCP, 100, 10, tcpACK))
		change(f)
		p := parsed(t, f.Packet())
		if c := new(cutter); c.start(f, &p) {
			t.Errorf("%s: would be cut", name)
		}
	}
}
