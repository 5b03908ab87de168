package transport

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"twinbore/esp"
)

func route(to string) esp.Path {
	return esp.Path{Remote: netip.AddrPortFrom(netip.MustParseAddr(to), 0)}
}

func TestRouteMTUIsTheInterfaces(t *testing.T) {
	privateNetwork(t)
	if _, err := RouteMTU(Config{}, route("198.51.100.1")); err == nil {
		t.Error("there is no route and no error")
	}
	for _, mtu := range []int{1492, 9000} {
		loopbackUp(t, uint32(mtu))
		for _, to := range []string{"127.0.0.1", "::1"} {
			p := route(to)
			p.Local = p.Remote
			for _, path := range []esp.Path{route(to), p} {
				if got, err := RouteMTU(Config{Interface: "lo"}, path); got != mtu || err != nil {
					t.Errorf("%v: %d, %v; want %d", path, got, err, mtu)
				}
			}
		}
	}
}

// DOS-17: an ICMP error that says "fragmentation needed, MTU 68" about our own packet, as anybody can forge it, does
// not make the kernel cut what we send.
func TestForgedFragmentationNeededIsNotHeard(t *testing.T) {
	privateNetwork(t)
	loopbackUp(t, 65000)
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(raw)
	host := netip.MustParseAddr("127.0.0.1").As4()
	quoted := make([]byte, 28)
	quoted[0], quoted[8], quoted[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(quoted[2:], 1500)
	copy(quoted[12:], host[:])
	copy(quoted[16:], host[:])
	binary.BigEndian.PutUint16(quoted[20:], a.Port())
	binary.BigEndian.PutUint16(quoted[22:], b.Port())
	icmp := append([]byte{3, 4, 0, 0, 0, 0, 0, 68}, quoted...)
	var sum uint32
	for i := 0; i < len(icmp); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(icmp[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(icmp[2:], ^uint16(sum+sum>>16))
	if err := unix.Sendto(raw, icmp, 0, &unix.SockaddrInet4{Addr: host}); err != nil {
		t.Fatal(err)
	}
	if got, err := RouteMTU(Config{}, route("127.0.0.1")); got != 65000 || err != nil {
		t.Errorf("the route takes %d octets afterwards, %v", got, err)
	}
	run := runOf(20, 1400, 1400, at(b, "127.0.0.1"))
	mustSend(t, a, run)
	got, _ := gather(t, b, 20)
	wantDatagrams(t, got, run)
	if o := a.Offloads(); o.Refused != 0 {
		t.Errorf("%d runs were refused", o.Refused)
	}
}
