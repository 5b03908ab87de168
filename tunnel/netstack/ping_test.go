package netstack

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// collect makes Pings of a wire whose answers are kept.
func (w *wire) collect() (*Pings, *[]Answer) {
	var got []Answer
	p := w.stack.Pings(func(a Answer) { got = append(got, a) })
	w.t.Cleanup(p.Close)
	return p, &got
}

func TestPingIsAnsweredByTheOtherStack(t *testing.T) {
	for _, family := range [][2]string{{ours, theirs}, {ours6, theirs6}} {
		synctest.Test(t, func(t *testing.T) {
			a, b := joined(t, family[0], family[1])
			back := b.carry
			b.carry = func(peer string, pkt []byte) {
				time.Sleep(30 * time.Millisecond)
				back(peer, pkt)
			}
			p, got := a.collect()
			target := addr(family[1])
			for seq, size := range []int{0, 7, 8, 56, 1400} {
				if err := p.Send(Ping{Peer: "other/1", Target: target, Seq: uint16(seq), Size: size}); err != nil {
					t.Fatal(err)
				}
				want := []Answer{{Peer: "other/1", Target: target, From: target, Seq: uint16(seq), Verdict: Reply, RTT: 30 * time.Millisecond, TTL: 64}}
				if !slices.Equal(*got, want) {
					t.Errorf("%d octets: %+v, want %+v", size, *got, want)
				}
				*got = nil
			}
			if d := b.stack.Drops("other/1"); len(d) != 0 {
				t.Errorf("dropped %v", d)
			}
		})
	}
}

// What is on the wire: an echo request that nobody may cut, and an answer with everything that was asked.
func TestEchoPackets(t *testing.T) { // RFC 792, RFC 1122 §3.2.2.6
	a, b := joined(t, ours, theirs)
	p, _ := a.collect()
	if err := p.Send(Ping{Peer: "hq/1", Target: addr(theirs), Seq: 7, Size: 100}); err != nil {
		t.Fatal(err)
	}
	out, back := a.took()[0].b, b.took()[0].b
	for name, ip := range map[string]header.IPv4{"request": out, "answer": back} {
		if len(ip) != 128 || !ip.IsValid(len(ip)) || !ip.IsChecksumValid() || ip.Flags()&header.IPv4FlagDontFragment == 0 || ip.TTL() != 64 {
			t.Errorf("%s: IP header % x", name, ip[:20])
		}
		if icmp := header.ICMPv4(ip[20:]); header.ICMPv4Checksum(icmp, 0) != icmp.Checksum() || icmp.Sequence() != 7 || icmp.Ident() != p.id {
			t.Errorf("%s: ICMP header % x", name, icmp[:8])
		}
	}
	if out[20] != 8 || back[20] != 0 || !bytes.Equal(out[28:], back[28:]) || !bytes.Equal(out[12:16], back[16:20]) || !bytes.Equal(out[16:20], back[12:16]) {
		t.Errorf("asked %x, answered %x", out, back)
	}
}

func TestPingsFromALANAddress(t *testing.T) { // R67
	a := newWire(t, ours)
	p, got := a.collect()
	lan, target := addr("10.1.0.1"), addr("10.2.0.1")
	if err := p.Send(Ping{Peer: "plain/1", Source: lan, Target: target}); err != nil {
		t.Fatal(err)
	}
	asked := a.took()[0].b
	m, _ := parse(asked)
	m.answer(asked)
	if m.src != lan || !a.stack.Control("plain/1", asked) || len(*got) != 1 {
		t.Errorf("from %v, heard %v", m.src, *got)
	}
}

func TestPingsThatCannotLeave(t *testing.T) {
	a := newWire(t, ours)
	p, got := a.collect()
	for name, q := range map[string]Ping{
		"no such tunnel":          {Peer: "hq/9", Target: addr(theirs)},
		"no inside address":       {Peer: "plain/1", Target: addr(theirs)},
		"another family":          {Peer: "hq/1", Target: addr(theirs6)},
		"no target":               {Peer: "hq/1"},
		"too large":               {Peer: "hq/1", Target: addr(theirs), Size: MaxPingSize + 1},
		"less than nothing":       {Peer: "hq/1", Target: addr(theirs), Size: -1},
		"a source, and no target": {Peer: "hq/1", Source: addr(ours6)},
	} {
		if err := p.Send(q); err == nil || len(a.took()) != 0 {
			t.Errorf("%s: sent", name)
		}
	}
	a.down = true
	if err := p.Send(Ping{Peer: "hq/1", Target: addr(theirs)}); !errors.Is(err, errDown) {
		t.Errorf("a tunnel that is down: %v", err)
	}
	if len(*got) != 0 || len(p.out) != 0 {
		t.Errorf("heard %v, waits for %v", *got, p.out)
	}
}

func TestLargestPing(t *testing.T) {
	for _, family := range [][2]string{{ours, theirs}, {ours6, theirs6}} {
		a, _ := joined(t, family[0], family[1])
		p, got := a.collect()
		if err := p.Send(Ping{Peer: "hq/1", Target: addr(family[1]), Size: MaxPingSize}); err != nil || len(*got) != 1 {
			t.Errorf("%v: %v, heard %v", family, err, *got)
		}
	}
}

// Errors of routers and hosts reach who asked, and only about what was asked.
func TestRoutersAnswers(t *testing.T) {
	type answer struct {
		name    string
		typ     byte
		code    byte
		rest    [4]byte
		verdict Verdict
		mtu     int
	}
	for _, tt := range []struct {
		from, to, router string
		answers          []answer
	}{
		{ours, theirs, "10.2.0.254", []answer{
			{"host unreachable", 3, 1, [4]byte{}, Unreachable, 0},
			{"too big", 3, 4, [4]byte{0, 0, 0x05, 0x14}, TooBig, 1300},
			{"too big, old router", 3, 4, [4]byte{}, TooBig, 0},
			{"time exceeded", 11, 0, [4]byte{}, Expired, 0},
		}},
		{ours6, theirs6, "fd00:2::fe", []answer{
			{"prohibited", 1, 1, [4]byte{}, Unreachable, 0},
			{"too big", 2, 0, [4]byte{0, 0, 0x05, 0x00}, TooBig, 1280},
			{"hop limit", 3, 0, [4]byte{}, Expired, 0},
		}},
	} {
		for _, a := range tt.answers {
			w := newWire(t, tt.from)
			p, got := w.collect()
			if err := p.Send(Ping{Peer: "hq/1", Target: addr(tt.to), Seq: 3, Size: 56}); err != nil {
				t.Fatal(err)
			}
			asked := w.took()[0].b
			about := func(change func(b []byte)) []byte {
				quote := bytes.Clone(asked)
				change(quote)
				return icmpError(tt.router, tt.from, a.typ, a.code, a.rest, quote[:min(len(quote), 60)])
			}
			seqAt := len(asked) - 56 - 2
			for name, change := range map[string]func(b []byte){
				"another number": func(b []byte) { b[seqAt]++ }, "another identifier": func(b []byte) { b[seqAt-2]++ },
				"another target": func(b []byte) { b[len(b)-56-echoHeader-1]++ }, "an answer": func(b []byte) { b[len(b)-56-echoHeader] ^= 0x18 },
			} {
				if w.stack.Control("hq/1", about(change)) {
					t.Errorf("%s about %s was taken", a.name, name)
				}
			}
			if w.stack.Control("other/1", about(func([]byte) {})) {
				t.Errorf("%s by another tunnel was taken", a.name)
			}
			want := []Answer{{Peer: "hq/1", Target: addr(tt.to), From: addr(tt.router), Seq: 3, Verdict: a.verdict, MTU: a.mtu, TTL: 64}}
			taken := w.stack.Control("hq/1", about(func([]byte) {}))
			if len(*got) == 1 {
				(*got)[0].RTT = 0
			}
			if !taken || !slices.Equal(*got, want) {
				t.Errorf("%s: heard %+v, want %+v", a.name, *got, want)
			}
		}
	}
}

// icmpError is one of a router.
func icmpError(from, to string, typ, code byte, rest [4]byte, quote []byte) []byte {
	b := newEcho(addr(from), addr(to), 0, 0, quote)
	body := b[len(b)-len(quote)-echoHeader:]
	body[0], body[1] = typ, code
	copy(body[4:], rest[:])
	sum(body, addr(from), addr(to))
	return b
}

// Who has not seen a request cannot answer it, and each is answered once.
func TestForgedAnswersAreNotTaken(t *testing.T) {
	w := newWire(t, ours)
	p, got := w.collect()
	if err := p.Send(Ping{Peer: "hq/1", Target: addr(theirs), Seq: 1, Size: 56}); err != nil {
		t.Fatal(err)
	}
	right := w.took()[0].b
	m, _ := parse(right)
	m.answer(right)
	forged := func(change func(b []byte)) []byte {
		b := bytes.Clone(right)
		change(b)
		m, _ := parseHeader(b)
		sum(m.body, m.src, m.dst)
		return b
	}
	for name, b := range map[string][]byte{
		"other data":       forged(func(b []byte) { b[30]++ }),
		"other source":     forged(func(b []byte) { b[15]++ }),
		"other target":     forged(func(b []byte) { b[19]++ }),
		"other number":     forged(func(b []byte) { b[27]++ }),
		"other identifier": forged(func(b []byte) { b[25]++ }),
		"bad checksum":     forged(func([]byte) {})[:80],
	} {
		if w.stack.Control("hq/1", b) {
			t.Errorf("%s: taken", name)
		}
	}
	if w.stack.Control("other/1", bytes.Clone(right)) {
		t.Error("by another tunnel: taken")
	}
	if !w.stack.Control("hq/1", bytes.Clone(right)) || w.stack.Control("hq/1", right) || len(*got) != 1 {
		t.Errorf("the right answer, twice: heard %v", *got)
	}
}

func TestAnswersHaveTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, ours)
		p, got := w.collect()
		for seq := range uint16(2) {
			if err := p.Send(Ping{Peer: "hq/1", Target: addr(theirs), Seq: seq}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(patience/2 + time.Second)
		}
		if err := p.Send(Ping{Peer: "hq/1", Target: addr(theirs), Seq: 2}); err != nil {
			t.Fatal(err)
		}
		for _, sent := range w.took() {
			m, _ := parse(sent.b)
			m.answer(sent.b)
			w.stack.Control("hq/1", sent.b)
		}
		var heard []uint16
		for _, a := range *got {
			heard = append(heard, a.Seq)
		}
		if !slices.Equal(heard, []uint16{1, 2}) {
			t.Errorf("heard the answers to %v, want those to 1 and 2", heard)
		}
	})
}

func TestUsersHearTheirOwnAnswers(t *testing.T) {
	a, _ := joined(t, ours, theirs)
	p, forP := a.collect()
	q, forQ := a.collect()
	if err := errors.Join(p.Send(Ping{Peer: "hq/1", Target: addr(theirs), Seq: 1}), q.Send(Ping{Peer: "hq/1", Target: addr(theirs), Seq: 1, Whole: true})); err != nil {
		t.Fatal(err)
	}
	if len(*forP) != 1 || len(*forQ) != 1 || a.whole != 1 {
		t.Errorf("heard %v and %v, %d sent whole", *forP, *forQ, a.whole)
	}
	q.Close()
	if err := q.Send(Ping{Peer: "hq/1", Target: addr(theirs), Seq: 2}); err != nil || len(*forQ) != 1 {
		t.Errorf("after Close: %v, heard %v", err, *forQ)
	}
}

func TestTunnelsComeAndGo(t *testing.T) {
	a, b := joined(t, ours, theirs)
	p, got := a.collect()
	ping := func(peer string) error { return p.Send(Ping{Peer: peer, Target: addr(theirs)}) }
	b.stack.SetTunnels([]Tunnel{{"hq/1", addr("169.254.1.9")}, {"other/1", addr(theirs)}})
	if err := errors.Join(ping("hq/1"), ping("other/1")); err != nil {
		t.Fatal(err)
	}
	if len(*got) != 1 || (*got)[0].Peer != "other/1" {
		t.Errorf("heard %+v, want the answer of other/1", *got)
	}
	a.stack.SetTunnels([]Tunnel{{"hq/1", netip.Addr{}}})
	for _, peer := range []string{"hq/1", "other/1"} {
		if err := ping(peer); err == nil {
			t.Errorf("%s: sent from an address that is gone", peer)
		}
	}
}
