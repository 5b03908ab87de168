package datapath

import (
	"testing"

	"twinbore/esp"
	"twinbore/esp/protect"
)

// beside installs another child of the connection "0" as IKE does it, and activates it.
func beside(t *testing.T, g *Gateway, group uint64, replaces esp.ChildID, local []esp.Selector) esp.ChildID {
	t.Helper()
	alg, spi := protect.AES128GCM16, g.AllocSPI()
	ch := esp.Child{ID: esp.ChildID(spi), Peer: "0/1", Local: local, Remote: anySelectors, Group: group, Replaces: replaces,
		In: esp.Params{SPI: spi, Algorithm: alg, Key: key(alg, 1), Window: 64}, Out: esp.Params{SPI: spi + 1, Algorithm: alg, Key: key(alg, 2)},
		Path: esp.Path{Local: port("192.0.2.1:4500"), Remote: port("198.51.100.0:4500")}}
	if err := g.Install(ch); err != nil {
		t.Fatal(err)
	}
	if err := g.Activate(ch.ID); err != nil {
		t.Fatal(err)
	}
	return ch.ID
}

// uses returns the child by which each of three workers sends a packet.
func uses(t *testing.T, g *Gateway) (by [3]esp.ChildID) {
	b := numbered(0, 0, 1)
	p := parsed(t, b)
	for worker := range by {
		if c, _ := g.peers["0/1"].outbound(b, &p, worker); c != nil {
			by[worker] = c.id
		}
	}
	return by
}

// RFC 9611 §3: each worker sends by one of the Child SAs of a group. One that is renewed is one of them still, and
// what it replaces is not used any more, before IKE removes it; one that is gone leaves its workers to the others.
func TestEachWorkerHasAChildOfItsOwn(t *testing.T) {
	g, _, first := crowd(t, 3, 1)
	want := func(what string, by ...esp.ChildID) {
		t.Helper()
		if got := uses(t, g); got != [3]esp.ChildID(by) {
			t.Errorf("%s: workers send by %v, want %v", what, got, by)
		}
	}
	g.Remove(first[0])
	a := beside(t, g, 7, 0, anySelectors)
	want("one", a, a, a)
	b := beside(t, g, 7, 0, anySelectors)
	want("two", a, b, a)
	c := beside(t, g, 7, 0, anySelectors)
	want("three", a, b, c)
	a2 := beside(t, g, 7, a, anySelectors)
	want("renewed", b, c, a2)
	g.Remove(a)
	want("what it replaced is gone", b, c, a2)
	g.Remove(b)
	want("one is gone", c, a2, c)

	// A successor that was itself replaced before it was used takes over from the first.
	unused := esp.Child{ID: esp.ChildID(g.AllocSPI()), Peer: "0/1", Local: anySelectors, Remote: anySelectors, Group: 7, Replaces: c,
		Path: esp.Path{Local: port("192.0.2.1:4500"), Remote: port("198.51.100.0:4500")}}
	unused.In = esp.Params{SPI: esp.SPI(unused.ID), Algorithm: protect.AES128GCM16, Key: key(protect.AES128GCM16, 1), Window: 64}
	unused.Out = unused.In
	if err := g.Install(unused); err != nil {
		t.Fatal(err)
	}
	c3 := beside(t, g, 7, unused.ID, anySelectors)
	want("a successor's successor", a2, c3, a2)

	// The peer has started anew: what it has from before is another group, and has no part of the traffic.
	d := beside(t, g, 8, 0, anySelectors)
	want("another group", d, d, d)
	e := beside(t, g, 0, 0, anySelectors)
	want("none of a group", e, e, e)
	g.Remove(e)
	g.Remove(d)
	want("as before", a2, c3, a2)
}

// A child that carries less than what it replaces leaves the rest to it, as long as it is there.
func TestNarrowerSuccessorLeavesTheRest(t *testing.T) {
	g, _, first := crowd(t, 1, 1)
	elsewhere := []esp.Selector{esp.SelectorFor(prefixes("10.9.0.0/16")[0])}
	beside(t, g, 0, first[0], elsewhere)
	if got := uses(t, g); got[0] != first[0] {
		t.Errorf("sends by %v, want %v", got[0], first[0])
	}
}
