package simnet

import (
	"net/netip"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

var (
	insideA = netip.MustParseAddrPort("10.0.0.1:4500")
	insideB = netip.MustParseAddrPort("10.0.0.2:4500")
	outside = netip.MustParseAddr("203.0.113.1")
)

// behind is a story with two hosts behind a NAT, c and d, and a and b outside.
func behind(t *testing.T, tell func(t *testing.T, nat *NAT, n *Net, a, b, c, d transport.Socket)) {
	t.Helper()
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		nat := n.NAT(netip.MustParsePrefix("10.0.0.0/24"), outside)
		tell(t, nat, n, a, b, n.Listen(insideA), n.Listen(insideB))
	})
}

func TestNATMapsBothWays(t *testing.T) {
	behind(t, func(t *testing.T, nat *NAT, n *Net, a, b, c, d transport.Socket) {
		write(t, c, addrA, "from c")
		write(t, d, addrA, "from d")
		paths := wantTexts(t, a, "from c", "from d")
		fromC, fromD := paths[0].Remote, paths[1].Remote
		if fromC.Addr() != outside || fromD.Addr() != outside || fromC.Port() == fromD.Port() || fromC.Port() == 4500 {
			t.Errorf("a sees %v and %v, want two ports of %v", fromC, fromD, outside)
		}
		if got, ok := nat.Mapping(insideA); !ok || got != fromC {
			t.Errorf("Mapping = %v, %v; want %v", got, ok, fromC)
		}
		write(t, a, fromC, "to c")
		write(t, a, fromD, "to d")
		want := esp.Path{Local: insideA, Remote: addrA}
		if got := wantTexts(t, c, "to c")[0]; got != want {
			t.Errorf("c sees %v, want %v: its own address", got, want)
		}
		wantTexts(t, d, "to d")

		// One port for all peers, and only those that were spoken to may answer.
		write(t, b, fromC, "not asked")
		wantTexts(t, c)
		wantDrops(t, n, "nat", 1)
		write(t, c, addrB, "from c")
		if got := wantTexts(t, b, "from c")[0].Remote; got != fromC {
			t.Errorf("b sees %v, a sees %v", got, fromC)
		}
		write(t, b, fromC, "asked")
		wantTexts(t, c, "asked")

		write(t, a, insideA, "nobody routes this")
		wantTexts(t, c)
		wantDrops(t, n, "nat", 2)
		write(t, c, insideB, "inside")
		if got := wantTexts(t, d, "inside")[0].Remote; got != insideA {
			t.Errorf("inside, d sees %v, want %v", got, insideA)
		}
	})
}

func TestRebindGivesAnotherPort(t *testing.T) {
	behind(t, func(t *testing.T, nat *NAT, n *Net, a, b, c, d transport.Socket) {
		write(t, c, addrA, "before")
		before := wantTexts(t, a, "before")[0].Remote
		nat.Rebind()
		write(t, a, before, "lost")
		wantTexts(t, c)
		wantDrops(t, n, "nat", 1)
		write(t, c, addrA, "after")
		after := wantTexts(t, a, "after")[0].Remote
		if after == before || after.Addr() != outside {
			t.Errorf("after a rebind a sees %v, before %v", after, before)
		}
		write(t, a, after, "back")
		wantTexts(t, c, "back")

		moved := netip.MustParseAddr("203.0.113.2")
		nat.Move(moved)
		write(t, c, addrA, "moved")
		if got := wantTexts(t, a, "moved")[0].Remote; got.Addr() != moved {
			t.Errorf("after the NAT moved a sees %v, want %v", got, moved)
		}
	})
}

func TestIdleMappingIsForgotten(t *testing.T) {
	behind(t, func(t *testing.T, nat *NAT, n *Net, a, b, c, d transport.Socket) {
		nat.SetIdle(3 * time.Minute)
		write(t, c, addrA, "1")
		first := wantTexts(t, a, "1")[0].Remote // and a minute passes
		for range 5 {
			time.Sleep(time.Minute)
			write(t, c, addrA, "keepalive")
			wantTexts(t, a, "keepalive")
		}
		write(t, a, first, "still there")
		wantTexts(t, c, "still there")
		time.Sleep(3 * time.Minute)
		if at, ok := nat.Mapping(insideA); ok {
			t.Errorf("mapping %v is still there", at)
		}
		write(t, a, first, "too late")
		wantTexts(t, c)
		wantDrops(t, n, "nat", 1)
		write(t, c, addrA, "2")
		if got := wantTexts(t, a, "2")[0].Remote; got == first {
			t.Errorf("the port %v came back at once", got)
		}
	})
}

func TestForwardedPort(t *testing.T) {
	behind(t, func(t *testing.T, nat *NAT, n *Net, a, b, c, d transport.Socket) {
		nat.Forward(4500, insideA)
		public := netip.AddrPortFrom(outside, 4500)
		for range 2 {
			write(t, b, public, "hello")
			if got := wantTexts(t, c, "hello")[0].Remote; got != addrB {
				t.Errorf("c sees %v, want %v", got, addrB)
			}
			write(t, c, addrB, "answer")
			if got := wantTexts(t, b, "answer")[0].Remote; got != public {
				t.Errorf("b sees %v, want %v", got, public)
			}
			nat.Rebind() // changes nothing here
		}
	})
}
