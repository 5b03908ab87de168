package ikev2

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/session"
)

// What each wants and what is on the way decide how ESP goes, and both ends decide alike (RFC 7296 §2.23, N-61).
func TestBothEndsAgreeOnUDP(t *testing.T) {
	const udp, without = "UDP", "no UDP"
	words := [...]string{"auto", "always", "never"}
	for _, mobike := range []bool{false, true} {
		for _, tt := range []struct {
			a, b Encap
			nat  string // before whom
			want string // or part of the hint of who refuses
			by   string
		}{
			{EncapAuto, EncapAuto, "", without, ""},
			{EncapAuto, EncapAuto, "a", udp, ""},
			{EncapAlways, EncapAuto, "", udp, ""},
			{EncapAuto, EncapAlways, "", udp, ""},
			{EncapAlways, EncapAlways, "", udp, ""},
			{EncapNever, EncapNever, "", without, ""},
			{EncapNever, EncapAuto, "", without, ""},
			{EncapAuto, EncapNever, "", without, ""},
			{EncapNever, EncapAuto, "a", "a NAT before us", "a"},
			{EncapNever, EncapAuto, "b", "the peer is behind a NAT", "a"},
			{EncapNever, EncapAlways, "", "asks for ESP in UDP", "a"},
			{EncapAuto, EncapNever, "a", "the peer is behind a NAT", "b"},
			{EncapAlways, EncapNever, "", "asks for ESP in UDP", "b"},
		} {
			name := fmt.Sprintf("a %s, b %s, NAT before %q, MOBIKE %v", words[tt.a], words[tt.b], tt.nat, mobike)
			l := newLab(t)
			l.a.cfg.Encap, l.b.cfg.Encap, l.a.cfg.MOBIKE, l.b.cfg.MOBIKE = tt.a, tt.b, mobike, mobike
			switch tt.nat {
			case "a":
				l.a.seenAs = netip.MustParseAddrPort("203.0.113.9:1024")
			case "b": // which does not know of it
				l.b.seenAs = netip.AddrPortFrom(netip.MustParseAddr("203.0.113.10"), 500)
			}
			l.initiate(l.a)
			l.settle()
			if tt.by != "" {
				g := l.a
				if tt.by == "b" {
					g = l.b
				} else {
					l.wait(2*patience, l.settle) // it may have been somebody else's doing, and a better answer may come
				}
				e := l.failure(g)
				if e.Reason != session.DatapathError || !strings.Contains(e.Hint, tt.want) || !strings.Contains(e.Hint, "encap: auto") {
					t.Errorf("%s: %s, %q", name, e.Reason, e.Hint)
				}
				if len(l.a.children)+len(l.b.children) != 0 {
					t.Errorf("%s: there are Child SAs", name)
				}
				continue
			}
			l.paired()
			for _, g := range []*gateway{l.a, l.b} {
				ike := g.sa().path
				for _, c := range g.children {
					if want := map[string]esp.Path{udp: ike, without: portless(ike)}[tt.want]; c.Path != want {
						t.Errorf("%s: %s sends ESP on %v, want %v", name, g.name, c.Path, want)
					}
				}
				if got := l.event(g, session.ChildUp).Child.Encap; got != (tt.want == udp) {
					t.Errorf("%s: %s says that it is in UDP: %v", name, g.name, got)
				}
				// Never UDP on the IKE port; where addresses may change, a NAT may come later (RFC 4555 §3.3).
				if moved := ike.Local.Port() == 4500; moved != (tt.want == udp || mobike) {
					t.Errorf("%s: the path of %s is %v", name, g.name, ike)
				}
			}
		}
	}
}

// failure is the event that tells why there is no Child SA.
func (l *lab) failure(g *gateway) session.Event {
	l.t.Helper()
	for _, e := range g.events {
		if e.Reason != "" {
			return e
		}
	}
	l.t.Fatalf("%s did not fail\n%s", g.name, l.log.String())
	return session.Event{}
}

// Who answers does not know yet who asks: if any candidate needs UDP all are made to, and those take it as well.
func TestOneOfSeveralCandidatesNeedsUDP(t *testing.T) {
	l := newLab(t)
	other := l.b.cfg
	other.Peer, other.Encap = "lab/other", EncapAlways
	other.RemoteID = auth.IDFromAddr(netip.MustParseAddr("192.0.2.99"))
	l.b.accepts = []Config{l.b.cfg, other}
	l.initiate(l.a)
	l.settle()
	l.paired()
	for _, g := range []*gateway{l.a, l.b} {
		for _, c := range g.children {
			if c.Path.Local.Port() != 4500 || c.Path.Remote.Port() != 4500 {
				t.Errorf("%s sends ESP on %v", g.name, c.Path)
			}
		}
	}
}

// Without NAT traversal at the peer there is no ESP in UDP.
func TestUDPNeedsThePeer(t *testing.T) {
	always, auto, never := Config{Encap: EncapAlways}, Config{}, Config{Encap: EncapNever}
	for _, tt := range []struct {
		cfg  Config
		nat  natStatus
		want bool
	}{
		{always, natStatus{}, true},
		{always, natStatus{supported: true}, false},
		{auto, natStatus{}, false},
		{never, natStatus{}, false},
		{never, natStatus{supported: true, local: true}, true},
		{never, natStatus{supported: true, forced: true}, true},
	} {
		if why := tt.cfg.misfit(tt.nat); (why != nil) != tt.want || why != nil && (why.reason != session.DatapathError || why.hint == "") {
			t.Errorf("%v with %+v: %v, want a refusal: %v", tt.cfg.Encap, tt.nat, why, tt.want)
		}
	}
	s := &SA{p: &peer{}, nat: natStatus{forced: true}}
	if s.encap() {
		t.Error("ESP in UDP with a peer that does no NAT traversal")
	}
}

// A packet without UDP tells of an address and of no port (N-63).
func TestAPacketWithoutUDPMovesAddresses(t *testing.T) {
	l := connected(t)
	g := l.b
	there := netip.MustParseAddr("203.0.113.66")
	seen := portless(esp.Path{Local: netip.AddrPortFrom(g.addr, 0), Remote: netip.AddrPortFrom(there, 0)})
	l.do(g, session.PathSeen{Child: g.sa().children[0].id, Path: seen})
	if got, want := g.sa().path, (esp.Path{Local: netip.AddrPortFrom(g.addr, 500), Remote: netip.AddrPortFrom(there, 500)}); got != want {
		t.Errorf("the IKE SA is on %v, want %v", got, want)
	}
	for _, c := range g.children {
		if c.Path != seen {
			t.Errorf("ESP goes on %v, want %v", c.Path, seen)
		}
	}
}
