package ikev2

import (
	"net/netip"
	"slices"
	"testing"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// mobile returns a lab in which a has initiated and both ends support MOBIKE.
func mobile(t testing.TB) *lab {
	l := newLab(t)
	l.a.cfg.MOBIKE, l.b.cfg.MOBIKE = true, true
	l.initiate(l.a)
	l.settle()
	l.paired()
	return l
}

var elsewhere = netip.MustParseAddrPort("203.0.113.66:500")

// at delivers msg to g as if it came from elsewhere.
func (l *lab) at(g *gateway, msg []byte) {
	l.receive(g, msg, esp.Path{Local: g.sa().path.Local, Remote: elsewhere})
}

// portless is a path without ports: ESP goes on it without UDP.
func portless(path esp.Path) esp.Path {
	return esp.Path{Local: netip.AddrPortFrom(path.Local.Addr(), 0), Remote: netip.AddrPortFrom(path.Remote.Addr(), 0)}
}

// stays checks that g's IKE SA and Child SAs are where they were.
func (l *lab) stays(g *gateway, what string) {
	l.t.Helper()
	want := l.path(g)
	for _, c := range g.children {
		if c.Path != portless(want) {
			l.t.Errorf("%s moved a Child SA of %s to %v", what, g.name, c.Path)
		}
	}
	if got := g.sa().path; got != want {
		l.t.Errorf("%s moved the IKE SA of %s to %v", what, g.name, got)
	}
}

func TestOldAndForgedMessagesMoveNothing(t *testing.T) { // RPL-09 a, b; N-63
	l := connected(t)
	l.do(l.a, session.Probe{})
	old := l.a.queue[0].Bytes
	l.settle()
	l.at(l.b, old) // answered again, and nothing else
	l.stays(l.b, "a repeated request")
	if len(l.b.queue) != 1 || l.b.queue[0].Path.Remote != elsewhere {
		t.Errorf("the repeated request is not answered to where it came from") // N-62
	}
	l.b.queue = nil
	bad := slices.Clone(forge(l.a.sa(), wire.Informational, l.b.sa().nextIn, false))
	bad[len(bad)-1] ^= 1
	l.at(l.b, bad)
	l.stays(l.b, "a forged request")
	l.at(l.b, forge(l.a.sa(), wire.Informational, l.b.sa().nextIn+1, false))
	l.stays(l.b, "a request out of order")

	l.at(l.b, forge(l.a.sa(), wire.Informational, l.b.sa().nextIn, false))
	if got := l.b.sa().path.Remote; got != elsewhere {
		t.Errorf("after a new authentic request the path is to %v, want %v", got, elsewhere)
	}
	if e := l.event(l.b, session.Moved); e.IKE.Path.Remote != elsewhere {
		t.Errorf("the event says %v", e.IKE.Path)
	}
}

func TestPacketsOfUnknownChildrenMoveNothing(t *testing.T) { // RPL-09
	l := connected(t)
	path := esp.Path{Local: netip.AddrPortFrom(l.b.addr, 500), Remote: elsewhere}
	l.do(l.b, session.PathSeen{Child: 4711, Path: path})
	l.stays(l.b, "a packet of no Child SA")
	path.Local = netip.AddrPortFrom(l.b.addr, 4500)
	l.do(l.b, session.PathSeen{Child: l.b.sa().children[0].id, Path: path})
	l.stays(l.b, "a packet to another port of ours")
}

// What was not negotiated means nothing; what was is answered (MAL-25, RFC 4555 §3.5, §3.7, §3.9).
func TestMOBIKENotifies(t *testing.T) {
	update, cookie := &wire.Notify{Kind: wire.NotifyUpdateSAAddresses}, &wire.Notify{Kind: wire.NotifyCookie2, Data: []byte("sixteen octets..")}
	more := &wire.Notify{Kind: wire.NotifyAdditionalIP4Address, Data: []byte{203, 0, 113, 5}}
	natless := &wire.Notify{Kind: wire.NotifyNoNATsAllowed, Data: untranslated(esp.Path{
		Local: netip.MustParseAddrPort("192.0.2.2:500"), Remote: netip.MustParseAddrPort("192.0.2.1:500")})}
	cases := []struct {
		name   string
		mobike bool
		from   string // who sends: the IKE SA's initiator is a
		list   []wire.Payload
		answer string
		moves  bool
	}{
		{"an update and a cookie without MOBIKE", false, "a", []wire.Payload{update, cookie}, "", true}, // as any message does
		{"an update", true, "a", []wire.Payload{update}, "", true},
		{"an update with a cookie", true, "a", []wire.Payload{update, cookie}, "N(COOKIE2)", true},
		{"an update of the responder", true, "b", []wire.Payload{update}, "", false},
		{"a cookie alone", true, "a", []wire.Payload{cookie}, "N(COOKIE2)", false},
		{"more addresses", true, "a", []wire.Payload{more}, "", false},
		{"no NAT allowed, and there is one", true, "a", []wire.Payload{update, natless}, "N(UNEXPECTED_NAT_DETECTED)", false},
		{"nothing", true, "a", nil, "", false},
	}
	for _, c := range cases {
		l := connected(t)
		if c.mobike {
			l = mobile(t)
		}
		from := l.a
		if c.from == "b" {
			from = l.b
		}
		to := l.other(from)
		to.events = nil
		l.at(to, forge(from.sa(), wire.Informational, to.sa().nextIn, false, c.list...))
		answer := ""
		for _, e := range to.events {
			if e.Kind == session.Message && e.Sent && e.Story == "" {
				answer = e.Payloads
			}
		}
		if answer != c.answer {
			t.Errorf("%s: answered %q, want %q", c.name, answer, c.answer)
		}
		if moved := to.sa().path.Remote == elsewhere; moved != c.moves {
			t.Errorf("%s: moved %v, want %v", c.name, moved, c.moves)
		}
	}
}

func TestWrongCookie2EndsTheIKESA(t *testing.T) { // RFC 4555 §3.7
	l := mobile(t)
	l.at(l.b, forge(l.a.sa(), wire.Informational, l.b.sa().nextIn, false, &wire.Notify{Kind: wire.NotifyUpdateSAAddresses}))
	open := l.b.sa().open
	if open == nil || len(open.cookie2) == 0 {
		t.Fatalf("b does not ask whether a is there\n%s", l.log.String())
	}
	l.at(l.b, forge(l.a.sa(), wire.Informational, open.id, true, &wire.Notify{Kind: wire.NotifyCookie2, Data: make([]byte, 16)}))
	if e := l.event(l.b, session.IKEDown); e.Reason != session.AuthFailed {
		t.Errorf("ended with %s", e.Reason)
	}
}

func TestRefusedAddressesBeginAnew(t *testing.T) { // RFC 4555 §3.5
	for _, kind := range []wire.NotifyType{wire.NotifyUnacceptableAddresses, wire.NotifyUnexpectedNATDetected} {
		l := mobile(t)
		l.a.addr = netip.MustParseAddr("192.0.2.77")
		l.do(l.a, session.PathChanged{Local: l.a.addr})
		l.receive(l.a, forge(l.b.sa(), wire.Informational, l.a.sa().open.id, true, &wire.Notify{Kind: kind}), l.path(l.a))
		if e := l.event(l.a, session.IKEDown); e.Reason != session.NoResponse {
			t.Errorf("%v: ended with %s", kind, e.Reason)
		}
	}
}

// A zero LocalID is the address that the IKE SA begins at, whichever end begins.
func TestOurAddressIsOurIdentity(t *testing.T) {
	l := newLab(t)
	l.a.cfg.LocalID, l.b.cfg.LocalID = auth.ID{}, auth.ID{}
	l.initiate(l.a)
	l.settle()
	l.paired()
	if e := l.event(l.a, session.IKEUp); e.IKE.LocalID != "192.0.2.1" || e.IKE.RemoteID != "192.0.2.2" {
		t.Errorf("a is %s, b is %s", e.IKE.LocalID, e.IKE.RemoteID)
	}
}

// W-01 (RFC 4555 §3.1): the initiator says that it supports MOBIKE if it does, the responder only to one who has said so, and
// it is in use where both have.
func TestMOBIKEIsAgreedOn(t *testing.T) {
	for _, a := range []bool{false, true} {
		for _, b := range []bool{false, true} {
			l := atAuth(t, func(l *lab) { l.a.cfg.MOBIKE, l.b.cfg.MOBIKE = a, b })
			says := func(g *gateway) bool {
				return slices.ContainsFunc(l.peek(g), func(p wire.Payload) bool {
					n, ok := p.(*wire.Notify)
					return ok && n.Kind == wire.NotifyMOBIKESupported
				})
			}
			if says(l.a) != a {
				t.Errorf("a with MOBIKE %v says so: %v", a, !a)
			}
			l.deliver(l.a)
			if says(l.b) != (a && b) {
				t.Errorf("b with MOBIKE %v answers a with %v: %v", b, a, !(a && b))
			}
			l.settle()
			if l.a.sa().mobike.on != (a && b) || l.b.sa().mobike.on != (a && b) {
				t.Errorf("a with MOBIKE %v and b with %v use it: %v and %v", a, b, l.a.sa().mobike.on, l.b.sa().mobike.on)
			}
		}
	}
}
