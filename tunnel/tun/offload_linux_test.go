package tun

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A host that sends three datagrams in one call gets one superpacket over to us, where the kernel can (Linux 6.2).
func TestSuperpacketFromTheHost(t *testing.T) {
	d := open(t, Config{Name: "tbt%d", MTU: 1400})
	up(t, d)
	if !d.Offloads().USO {
		t.Skipf("needs USO (Linux 6.2); offloads are %+v", d.Offloads())
	}
	host, far := hostSocket(t), netip.MustParseAddrPort(farAddr+":7")
	payload := strings.Repeat("a", 1000) + strings.Repeat("b", 1000) + strings.Repeat("c", 10)
	segment := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&segment[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(segment[unix.CmsgLen(0):], 1000)
	if _, _, err := host.WriteMsgUDPAddrPort([]byte(payload), segment, far); err != nil {
		t.Fatal(err)
	}
	f := slot()
	for f.Kind == Single {
		if err := d.Read(f); err != nil {
			t.Fatal(err)
		}
	}
	if f.Kind != UDP || f.Size != 1000 || !f.NeedsSum || f.SumStart != 20 || f.SumOffset != 6 || string(f.Packet()[28:]) != payload {
		t.Errorf("kind %d, size %d, sum %v at %d+%d, %d octets", f.Kind, f.Size, f.NeedsSum, f.SumStart, f.SumOffset, f.N)
	}
}

// What we give as one the host's program receives as three.
func TestSuperpacketToTheHost(t *testing.T) {
	d := open(t, Config{Name: "tbt%d", MTU: 1400})
	up(t, d)
	if !d.Offloads().USO {
		t.Skipf("needs USO (Linux 6.2); offloads are %+v", d.Offloads())
	}
	host := hostSocket(t)
	want := []string{strings.Repeat("a", 1000), strings.Repeat("b", 1000), "c"}
	fs := frames(udp4(strings.Join(want, "")))
	f := &fs[0]
	f.Kind, f.Size, f.Head, f.NeedsSum, f.SumStart, f.SumOffset = UDP, 1000, 28, true, 20, 6
	pkt := f.Packet()
	var sum uint32 // of the pseudo-header
	for i := 12; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(pkt[i:]))
	}
	sum += 17 + uint32(len(pkt)-20)
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(pkt[26:], uint16(sum+sum>>16))
	if n, err := d.Write(fs); n != 1 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	host.SetReadDeadline(time.Now().Add(5 * time.Second))
	for i := range want {
		b := make([]byte, 2000)
		n, _, err := host.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != want[i] {
			t.Fatalf("datagram %d has %d octets (%v), want %d", i, n, err, len(want[i]))
		}
	}
}

func TestOffloadsAreOffWhereNobodyWantsThem(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want Offloads
	}{
		{Config{NoTSO: true, NoUSO: true}, Offloads{}},
		{Config{NoUSO: true}, Offloads{TSO: true}},
		{Config{NoTSO: true}, Offloads{USO: true}},
	} {
		tt.cfg.Name = "tbt%d"
		d := open(t, tt.cfg)
		if got := d.Offloads(); got != tt.want && (got != Offloads{} || !tt.want.USO) {
			t.Errorf("%+v: offloads %+v, want %+v", tt.cfg, got, tt.want)
		}
		up(t, d)
		host := hostSocket(t)
		if n, err := d.Write(frames(udp4("x"))); n != 1 || err != nil {
			t.Errorf("%+v: Write = %d, %v", tt.cfg, n, err)
		}
		b := make([]byte, 10)
		host.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, _, err := host.ReadFromUDPAddrPort(b); n != 1 || err != nil {
			t.Errorf("%+v: the host got %d octets, %v", tt.cfg, n, err)
		}
		if tt.want == (Offloads{}) {
			super := frames(udp4("xy"))
			super[0].Kind, super[0].Size, super[0].NeedsSum = UDP, 1, true
			if n, err := d.Write(super); n != 0 || !errors.Is(err, unix.EINVAL) {
				t.Errorf("%+v: a superpacket is taken: %d, %v", tt.cfg, n, err)
			}
		}
		host.Close()
		d.Close()
	}
}

func TestQueueHoldsABurst(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	attrs := link(t, d).Attrs()
	if attrs.TxQLen != queueLen {
		t.Errorf("queue of %d packets, want %d", attrs.TxQLen, queueLen)
	}
	if d.Offloads().TSO && attrs.GSOMaxSegs != superSegments {
		t.Errorf("superpackets of %d segments, want %d", attrs.GSOMaxSegs, superSegments)
	}
}

func TestFrameHeaderReadsAsWritten(t *testing.T) {
	for _, f := range []Frame{
		{},
		{NeedsSum: true, SumStart: 20, SumOffset: 16},
		{Kind: TCP4, Size: 1386, Head: 52, NeedsSum: true, SumStart: 20, SumOffset: 16},
		{Kind: TCP6, Size: 1366, Head: 72, NeedsSum: true, SumStart: 40, SumOffset: 16},
		{Kind: UDP, Size: 200, Head: 28, NeedsSum: true, SumStart: 20, SumOffset: 6},
	} {
		f.Buf, f.At = make([]byte, 20), Room
		got := Frame{Buf: f.Buf, At: f.At}
		f.encode()
		got.decode()
		if got.Kind != f.Kind || got.Size != f.Size || got.NeedsSum != f.NeedsSum || got.SumStart != f.SumStart || got.SumOffset != f.SumOffset {
			t.Errorf("written %+v, read %+v", f, got)
		}
	}
	odd := Frame{Buf: make([]byte, 20), At: Room}
	odd.Buf[1] = unix.VIRTIO_NET_HDR_GSO_UDP // UFO, which nobody asked for
	if odd.decode(); odd.Kind != Unknown {
		t.Errorf("kind %d, want Unknown", odd.Kind)
	}
}
