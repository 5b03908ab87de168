package netstack

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// Our two ends of the tests' tunnels. Both connections have the same addresses.
const (
	ours, theirs   = "169.254.1.2", "169.254.1.1"
	ours6, theirs6 = "fd00:1::2", "fd00:1::1"
)

// A wire is what a Stack's packets come to: what a test says it is.
type wire struct {
	t     *testing.T
	stack *Stack
	left  []packet
	whole int                         // of left
	carry func(peer string, b []byte) // nil: what leaves is lost
	down  bool
}

type packet struct {
	peer string
	b    []byte
}

var errDown = errors.New("tunnel is down")

// newWire makes a Stack in two tunnels, with nothing at the other end.
func newWire(t *testing.T, inside string) *wire {
	w := &wire{t: t}
	send := func(peer string, b []byte) error {
		if w.down {
			return errDown
		}
		b = bytes.Clone(b)
		w.left = append(w.left, packet{peer, b})
		if w.carry != nil {
			w.carry(peer, bytes.Clone(b))
		}
		return nil
	}
	whole := func(peer string, b []byte) error {
		w.whole++
		return send(peer, b)
	}
	w.stack = New(Config{Send: send, Whole: whole, MTU: func(string) int { return 0 }})
	w.stack.SetTunnels([]Tunnel{{"hq/1", addr(inside)}, {"other/1", addr(inside)}, {"plain/1", netip.Addr{}}})
	return w
}

// took returns what has left since it was last asked.
func (w *wire) took() []packet {
	out := w.left
	w.left = nil
	return out
}

// joined are two gateways whose tunnels meet.
func joined(t *testing.T, here, there string) (a, b *wire) {
	a, b = newWire(t, here), newWire(t, there)
	a.carry = func(peer string, pkt []byte) { b.stack.Control(peer, pkt) }
	b.carry = func(peer string, pkt []byte) { a.stack.Control(peer, pkt) }
	return a, b
}
