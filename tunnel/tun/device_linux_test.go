package tun

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// open makes a device in a network namespace of the test's own. The test's thread is never unlocked, so it ends
// with the test and takes the namespace along. Other goroutines, subtests too, run outside of the namespace.
func open(t testing.TB, cfg Config) *device {
	t.Helper()
	if os.Getuid() != 0 || Available() != nil {
		t.Skip("needs root and /dev/net/tun")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs root and /dev/net/tun: no network namespace: %v", err)
	}
	dev, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev.(*device)
}

const (
	hostAddr = "10.9.0.1" // the device's
	farAddr  = "10.9.0.2" // behind it
)

func link(t testing.TB, d *device) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(d.Name())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// up gives the device an address and brings it up. From then on the host may also send router solicitations.
func up(t testing.TB, d *device) {
	t.Helper()
	l := link(t, d)
	addr, _ := netlink.ParseAddr(hostAddr + "/24")
	if err := netlink.AddrAdd(l, addr); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
}

func hostSocket(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(hostAddr+":7")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// udp4 is an IPv4 packet with a UDP datagram from the far side to the host, port 7 to port 7.
func udp4(payload string) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
	from, to := netip.MustParseAddr(farAddr).As4(), netip.MustParseAddr(hostAddr).As4()
	copy(b[12:], from[:])
	copy(b[16:], to[:])
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum&0xFFFF + sum>>16
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	b[21], b[23] = 7, 7
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload))) // no checksum: RFC 768 allows it
	return append(b, payload...)
}

const offset = 32

// slot is where a frame is read to.
func slot() *Frame { return &Frame{Buf: make([]byte, offset+65535), At: offset} }

// frames are packets to be written, with room in front.
func frames(packets ...[]byte) (fs []Frame) {
	for _, p := range packets {
		fs = append(fs, Frame{Buf: append(make([]byte, Room), p...), At: Room, N: len(p)})
	}
	return fs
}

// receive reads until n UDP packets of the host's are there, and returns their payloads.
func receive(t testing.TB, d *device, n int) (payloads []string) {
	t.Helper()
	f := slot()
	for len(payloads) < n {
		if err := d.Read(f); err != nil {
			t.Fatal(err)
		}
		if pkt := f.Packet(); pkt[0] == 0x45 && pkt[9] == 17 {
			payloads = append(payloads, string(pkt[28:]))
		}
	}
	return payloads
}

func TestPacketsFromTheHost(t *testing.T) {
	d := open(t, Config{Name: "tbt%d", MTU: 1400})
	up(t, d)
	host, far := hostSocket(t), netip.MustParseAddrPort(farAddr+":7")
	words := []string{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
	for _, w := range words {
		if _, err := host.WriteToUDPAddrPort([]byte(w), far); err != nil {
			t.Fatal(err)
		}
	}
	if got := receive(t, d, len(words)); strings.Join(got, " ") != strings.Join(words, " ") {
		t.Errorf("read %q, want %q", got, words)
	}
}

func TestPollDoesNotWait(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	up(t, d)
	host, far := hostSocket(t), netip.MustParseAddrPort(farAddr+":7")
	f := slot()
	for {
		ok, err := d.Poll(f) // the host's router solicitations, if any
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
	}
	if _, err := host.WriteToUDPAddrPort([]byte("x"), far); err != nil {
		t.Fatal(err)
	}
	if ok, err := d.Poll(f); !ok || err != nil {
		t.Errorf("Poll = %v, %v; want the packet that is there", ok, err)
	}
}

func TestPacketsToTheHost(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	up(t, d)
	host := hostSocket(t)
	fs := frames(udp4("one"), []byte{0xF0, 1, 2, 3}, udp4("two")) // the second has no IP version: the kernel refuses it
	n, err := d.Write(fs)
	if n != 2 || !errors.Is(err, unix.EINVAL) {
		t.Errorf("Write = %d, %v; want 2, EINVAL for the one that is no packet", n, err)
	}
	if refused := fs[2].Packet(); refused[0] != 0xF0 {
		t.Errorf("the refused frame is %x, want the one that is no packet", refused)
	}
	host.SetReadDeadline(time.Now().Add(5 * time.Second))
	for _, want := range []string{"one", "two"} {
		b := make([]byte, 100)
		k, from, err := host.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:k]) != want || from.Addr() != netip.MustParseAddr(farAddr) {
			t.Errorf("host got %q from %v, %v; want %q", b[:k], from, err, want)
		}
	}
}

// EV-18: a device that is set down refuses packets, and works again when it is up.
func TestDownIsLoss(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	pkt := frames(udp4("x"), udp4("y"))
	if n, err := d.Write(pkt); n != 0 || !errors.Is(err, unix.EIO) {
		t.Errorf("down: Write = %d, %v; want 0, EIO", n, err)
	}
	up(t, d)
	if n, err := d.Write(pkt); n != 2 || err != nil {
		t.Errorf("up: Write = %d, %v; want 2", n, err)
	}
}

// EV-18: `ip link del` wakes the reader, and every call after it says that the device is gone: no spinning.
func TestDeletedDeviceSaysSo(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	name := d.Name()
	result := make(chan error, 1)
	go func() {
		for {
			if err := d.Read(slot()); err != nil {
				result <- err
				return
			}
		}
	}()
	for range 10 {
		runtime.Gosched() // let it wait; it must end either way
	}
	if err := netlink.LinkDel(link(t, d)); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), name) {
		t.Errorf("waiting Read = %v, want ErrGone and the name %s", err, name)
	}
	if err := d.Read(slot()); !errors.Is(err, ErrGone) {
		t.Errorf("next Read = %v, want ErrGone", err)
	}
	if n, err := d.Write(frames(udp4("x"), udp4("y"))); n != 0 || !errors.Is(err, ErrGone) {
		t.Errorf("Write = %d, %v; want 0, ErrGone", n, err)
	}
	if d.Name() != name || d.MTU() != 1500 {
		t.Errorf("name %q, MTU %d; want the last ones, %q and 1500", d.Name(), d.MTU(), name)
	}
	if err := d.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// EV-18: a rename is followed.
func TestRenamedDeviceKeepsWorking(t *testing.T) {
	d := open(t, Config{Name: "tbt%d", MTU: 1380})
	if err := netlink.LinkSetName(link(t, d), "tbt-renamed"); err != nil {
		t.Fatal(err)
	}
	if d.Name() != "tbt-renamed" || d.MTU() != 1380 {
		t.Errorf("name %q, MTU %d; want tbt-renamed, 1380", d.Name(), d.MTU())
	}
	if err := netlink.LinkSetMTU(link(t, d), 1300); err != nil {
		t.Fatal(err)
	}
	if d.MTU() != 1300 {
		t.Errorf("MTU %d after it was set to 1300 from outside", d.MTU())
	}
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	name := d.Name()
	result := make(chan error, 1)
	go func() { result <- d.Read(slot()) }()
	for range 10 {
		runtime.Gosched()
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; err != os.ErrClosed {
		t.Errorf("Read = %v, want os.ErrClosed", err)
	}
	if n, err := d.Write(frames(udp4("x"))); n != 0 || err != os.ErrClosed {
		t.Errorf("Write after Close = %d, %v; want 0, os.ErrClosed", n, err)
	}
	if _, err := netlink.LinkByName(name); err == nil {
		t.Errorf("device %s is still there", name)
	}
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if d.Name() != name || d.MTU() != 1500 {
		t.Errorf("after Close: name %q, MTU %d", d.Name(), d.MTU())
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	tests := []struct {
		cfg  Config
		text string
	}{
		{Config{Name: d.Name()}, "hint: another process has the device open"}, // EV-18: EBUSY
		{Config{Name: "lo"}, "hint: an interface of that name exists"},
		{Config{Name: "a-name-too-long1"}, "longer than 15 octets"},
		{Config{Name: "tbt%d", MTU: 67}, "not within 68 to 65535"},
		{Config{Name: "tbt%d", MTU: 65536}, "not within 68 to 65535"},
	}
	for _, tt := range tests {
		got, err := Open(tt.cfg)
		if err == nil {
			got.Close()
			t.Errorf("Open(%+v): no error, want %q", tt.cfg, tt.text)
		} else if !strings.Contains(err.Error(), tt.text) {
			t.Errorf("Open(%+v) = %v, want %q", tt.cfg, err, tt.text)
		}
	}
}

func TestBufferWithoutRoomIsAnError(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	up(t, d)
	if _, err := hostSocket(t).WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(farAddr+":7")); err != nil {
		t.Fatal(err)
	}
	if err := d.Read(&Frame{Buf: make([]byte, offset), At: offset}); err == nil {
		t.Error("Read: no error; want one instead of empty packets for ever")
	}
}

func TestNothingIsAllocatedPerPacket(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	up(t, d)
	host, far := hostSocket(t), netip.MustParseAddrPort(farAddr+":7")
	// The host answers an echo request without any program, so a packet written is a packet to read.
	in, out := slot(), frames(echoRequest(), echoRequest())
	if _, err := host.WriteToUDPAddrPort([]byte("x"), far); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if n, err := d.Write(out); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		if err := d.Read(in); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Poll(in); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

// echoRequest is an ICMP echo request from the far side to the host.
func echoRequest() []byte {
	b := udp4(strings.Repeat("x", 36))
	b[9] = 1
	binary.BigEndian.PutUint16(b[10:], binary.BigEndian.Uint16(b[10:])+16) // the protocol went from 17 to 1
	clear(b[20:])
	b[20] = 8
	binary.BigEndian.PutUint16(b[22:], ^uint16(0x0800))
	return b
}

func BenchmarkWrite(b *testing.B) {
	d := open(b, Config{Name: "tbt%d"})
	up(b, d)
	pkt := udp4(strings.Repeat("x", 1372))
	out := frames(slices.Repeat([][]byte{pkt}, 64)...)
	b.ReportAllocs()
	b.SetBytes(int64(len(out) * len(pkt)))
	for b.Loop() {
		if _, err := d.Write(out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(out))/b.Elapsed().Seconds(), "packets/s")
}
