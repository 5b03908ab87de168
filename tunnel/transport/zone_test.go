package transport

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"twinbore/esp"
)

func TestZones(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip("needs a loopback interface named lo")
	}
	var z zones
	plain := netip.MustParseAddr("fe80::1")
	if got := z.add(plain, uint32(lo.Index)); got != plain.WithZone("lo") {
		t.Errorf("zone of index %d: %v, want fe80::1%%lo", lo.Index, got)
	}
	if got := z.add(plain, 4_000_000); got != plain.WithZone("4000000") {
		t.Errorf("zone of an interface that is gone: %v, want its number", got)
	}
	for _, tt := range []struct {
		addr string
		want uint32
	}{
		{"fe80::1%lo", uint32(lo.Index)},
		{"fe80::1%4000000", 4_000_000},
		{"fe80::1%77", 77},
		{"fe80::1%tbt-none", 0},
		{"fe80::1", 0},
		{"192.0.2.1", 0},
	} {
		if got := z.index(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("index of %s = %d, want %d", tt.addr, got, tt.want)
		}
	}
}

// A peer at a link-local address is answered over the link it spoke on.
func TestLinkLocalPeerIsAnswered(t *testing.T) {
	privateNetwork(t)
	// tbt-z0 fe80::1 ──── fe80::2 tbt-z1
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "tbt-z0"}, PeerName: "tbt-z1"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Skipf("needs veth: %v", err)
	}
	for name, addr := range map[string]string{"tbt-z0": "fe80::1/64", "tbt-z1": "fe80::2/64"} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := netlink.ParseAddr(addr)
		a.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(l, a); err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
	a, b := listen(t, "[::]:0"), listen(t, "[::]:0")
	near, far := netip.MustParseAddr("fe80::1%tbt-z1"), netip.MustParseAddr("fe80::2%tbt-z0")
	mustWrite(t, a, say("hello", near, netip.AddrPortFrom(far, b.Port())))
	m := hear(t, b, 1)[0]
	want := esp.Path{Local: netip.AddrPortFrom(far.WithZone(""), b.Port()), Remote: netip.AddrPortFrom(near, a.Port())}
	if m.Path != want {
		t.Errorf("path %v, want %v", m.Path, want)
	}
	mustWrite(t, b, m)
	if back := hear(t, a, 1)[0]; text(back) != "hello" || back.Path.Remote.Addr() != far {
		t.Errorf("answer %q from %v, want hello from %v", text(back), back.Path.Remote, far)
	}
}
