package ikev2

import (
	"slices"
	"testing"

	"twinbore/ike/wire"
)

// P-03 (RFC 4301 §4.1, RFC 7296 §1.3.1): a peer that asks for transport mode or for compression gets tunnel mode without: the
// answer says neither. Nor does an answer that says so without having been asked change what is made.
func TestTunnelModeAlone(t *testing.T) {
	wishes := []wire.Payload{&wire.Notify{Kind: wire.NotifyUseTransportMode}, &wire.Notify{Kind: wire.NotifyIPCompSupported, Data: []byte{0, 9, 2}}}
	add := func(list []wire.Payload) []wire.Payload { return append(list, wishes...) }
	for _, m := range moments {
		if !slices.Contains(m.must, wire.TypeTSi) {
			continue
		}
		l, g := m.reach(t)
		l.edit(g, add)
		l.deliver(g)
		if !m.answer() {
			for _, p := range l.peek(l.other(g)) {
				if n, ok := p.(*wire.Notify); ok {
					t.Errorf("%s: the answer says %v", m.name, n.Kind)
				}
			}
		}
		l.settle()
		l.unharmed()
	}
}
