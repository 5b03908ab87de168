package datapath

import (
	"encoding/binary"
	"slices"
	"sync"

	"twinbore/tunnel/tun"
)

// Ports of the protocols that two ends of a tunnel speak with each other.
const (
	portBGP         = 179  // RFC 4271
	portBFD         = 3784 // RFC 5881 §4
	portBFDMultihop = 4784 // RFC 5883 §5
)

// How many packets wait for Config.Control. One peer's flood leaves room for the others'.
const (
	maxPunted       = 1024
	maxPuntedOctets = 1 << 20
	maxPuntedOfOne  = 256
)

// punts reports whether a packet out of a tunnel, whose destination is this gateway's, is shown to Config.Control first.
func (g *Gateway) punts(r *rules, t *tunnel, b []byte, p *packet) bool {
	if g.cfg.Control == nil || !simple(b, p) {
		return false
	}
	if p.dst == r.insideOf(t) {
		return p.isControl(b)
	}
	return p.isEchoReply() || p.quotesEcho(b) // an own address that is in no tunnel: what answers a ping of ours
}

// simple reports whether the packet is no fragment and has nothing between its IP header and the upper layer. What is
// not simple is left to the host: BGP and BFD always are.
func simple(b []byte, p *packet) bool {
	if p.src.Is6() {
		return p.upper == ipv6HeaderLen && p.proto != protoFragment
	}
	return p.upper == ipv4HeaderLen && binary.BigEndian.Uint16(b[6:])&(moreFragments|fragmentMask) == 0
}

// isControl reports whether the packet is what the two ends of a tunnel say to each other: ping, BGP, BFD, and ICMP errors
// about these.
func (p *packet) isControl(b []byte) bool {
	switch {
	case p.proto == protoTCP:
		return p.sport == portBGP || p.dport == portBGP
	case p.proto == protoUDP:
		return p.dport == portBFD || p.dport == portBFDMultihop
	}
	return p.isEchoRequest() || p.isEchoReply() || p.quotes(b, func(q *packet) bool {
		return q.isEchoRequest() || q.proto == protoTCP && (q.sport == portBGP || q.dport == portBGP) ||
			q.proto == protoUDP && (q.dport == portBFD || q.dport == portBFDMultihop)
	})
}

func (p *packet) isEchoRequest() bool {
	return !p.hidden && (p.proto == protoICMP && p.src.Is4() && p.sport>>8 == 8 || p.proto == protoICMPv6 && p.src.Is6() && p.sport>>8 == 128)
}

func (p *packet) isEchoReply() bool {
	return !p.hidden && (p.proto == protoICMP && p.src.Is4() && p.sport>>8 == 0 || p.proto == protoICMPv6 && p.src.Is6() && p.sport>>8 == 129)
}

func (p *packet) quotesEcho(b []byte) bool { return p.quotes(b, (*packet).isEchoRequest) }

// quotes reports whether the packet is an ICMP error about a packet that its receiver had sent, and which is so.
func (p *packet) quotes(b []byte, so func(*packet) bool) bool {
	at, yes := p.isICMPError()
	if !yes || at > p.length {
		return false
	}
	q, ok := parseHeaders(b[at:p.length])
	return ok && q.src == p.dst && so(&q)
}

// A punted packet waits for Config.Control. Its buffer has the room in front that the device needs.
type punted struct {
	tunnel *tunnel
	buf    []byte
}

// A puntQueue holds what waits for Config.Control.
type puntQueue struct {
	mu     sync.Mutex // guards the rest
	queue  []punted
	octets int
	of     map[*tunnel]int
}

// put copies a packet in, or reports false when there is no room.
func (q *puntQueue) put(t *tunnel, b []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) >= maxPunted || q.octets+len(b) > maxPuntedOctets || q.of[t] >= maxPuntedOfOne {
		return false
	}
	if q.of == nil {
		q.of = map[*tunnel]int{}
	}
	q.of[t]++
	q.octets += len(b)
	q.queue = append(q.queue, punted{t, slices.Concat(make([]byte, tun.Room), b)})
	return true
}

func (q *puntQueue) take() []punted {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.queue
	q.queue, q.octets = nil, 0
	clear(q.of)
	return all
}

// punt leaves a packet to the control goroutine.
func (g *Gateway) punt(t *tunnel, b []byte) {
	if !g.punted.put(t, b) {
		t.drops.add(controlFull)
		return
	}
	g.chores.poke()
}

// hand gives what waits to Config.Control, and to the device what that does not take.
func (g *Gateway) hand() {
	for _, p := range g.punted.take() {
		if g.cfg.Control(p.tunnel.peer, p.buf[tun.Room:]) {
			continue
		}
		r := p.tunnel.conn.rules.Load()
		if r == nil {
			p.tunnel.drops.add(noRoute)
			continue
		}
		if q, ok := parse(p.buf[tun.Room:]); !ok || denies(r.filter.In, &q) {
			p.tunnel.drops.add(filterIn)
			continue
		}
		g.queueOf(r.domain, 0).write([]tun.Frame{{Buf: p.buf, At: tun.Room, N: len(p.buf) - tun.Room}}, &g.drops)
	}
}
