package datapath

import (
	"bytes"
	"context"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
	"twinbore/tunnel/tun/tuntest"
)

// The tests' world: gateways with a network of their own behind them, and peers that speak ESP with literal keys
// and say whatever a test wants, as a hostile peer would. All in a synctest bubble.
//
//	10.1.0.0/16, 2001:db8:1::/48 ── gateway at 192.0.2.1 ══ tunnel 1 ══ 198.51.100.1 ── 10.2.0.0/16, 2001:db8:2::/48
//	                                                     ══ tunnel 2 ══ 198.51.100.2 ──┘
//	                                                     ══ other/1  ══ 203.0.113.1  ── 10.3.0.0/16

type lab struct {
	t        *testing.T
	net      *simnet.Net
	keys     byte // how many were made
	offloads tun.Offloads
}

// inLab tells the story twice: to devices that know packets only, and to such as know superpackets.
func inLab(t *testing.T, story func(l *lab)) {
	t.Helper()
	for _, o := range []tun.Offloads{{}, {TSO: true, USO: true}} {
		synctest.Test(t, func(t *testing.T) {
			l := &lab{t: t, net: simnet.New(1), offloads: o}
			defer l.net.Close()
			story(l)
		})
	}
}

// settle lets everything under way arrive.
func (l *lab) settle() {
	time.Sleep(time.Millisecond)
	synctest.Wait()
}

// A site is a gateway and the host on its inside.
type site struct {
	*Gateway
	l        *lab
	fake     *tuntest.Fake
	outer    netip.Addr
	asked    []string        // by Acquire
	askedFor [2]esp.Selector // by the last
	spent    []esp.ChildID   // by Spent
	before   map[string]uint64
	stopped  chan error
}

// gateway starts one at an outer address; change may be nil.
func (l *lab) gateway(outer string, change func(*Config)) *site {
	l.t.Helper()
	s := &site{l: l, fake: tuntest.New(1500), outer: addr(outer), stopped: make(chan error, 1), before: map[string]uint64{}}
	s.fake.Offload(l.offloads)
	cfg := Config{
		Device: s.fake.Device(), NATTPort: 4500,
		Acquire: func(conn string, local, remote esp.Selector) {
			s.asked = append(s.asked, conn)
			s.askedFor = [2]esp.Selector{local, remote}
		},
		Spent: func(_ string, id esp.ChildID) { s.spent = append(s.spent, id) },
	}
	for _, p := range []uint16{500, 4500} {
		cfg.Sockets = append(cfg.Sockets, Socket{Socket: l.net.Listen(netip.AddrPortFrom(s.outer, p)), Addr: s.outer})
	}
	if change != nil {
		change(&cfg)
	}
	g, err := New(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	s.Gateway = g
	ctx, cancel := context.WithCancel(context.Background())
	go func() { s.stopped <- g.Run(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		<-s.stopped
	})
	return s
}

// paris is the site of the drawing, with both connections; nothing is installed.
func (l *lab) paris(change func(*Config)) *site {
	l.t.Helper()
	s := l.gateway("192.0.2.1", change)
	s.SetOwn([]netip.Addr{addr("10.1.255.254"), addr("192.0.2.1")})
	if err := s.SetConnections(parisConnections()); err != nil {
		l.t.Fatal(err)
	}
	return s
}

func parisConnections() []Connection {
	local := prefixes("10.1.0.0/16", "2001:db8:1::/48")
	return []Connection{
		{Name: "hq", Networks: prefixes("10.2.0.0/16", "2001:db8:2::/48"), Local: local, Tunnels: []Tunnel{
			{Name: "1", Inside: addr("169.254.1.2"), InsidePeer: addr("169.254.1.1"), Outer: addr("198.51.100.1")},
			{Name: "2", Inside: addr("169.254.2.2"), InsidePeer: addr("169.254.2.1"), Outer: addr("198.51.100.2")},
		}},
		{Name: "other", Networks: prefixes("10.3.0.0/16"), Local: local, Tunnels: []Tunnel{{Name: "1"}}},
	}
}

// A peer is the far end of one tunnel of a site: bare ESP SAs and a socket.
type peer struct {
	*site
	id   esp.ChildID // the site's
	in   *esp.Inbound
	out  *esp.Outbound
	sock transport.Socket
	at   netip.AddrPort

	mu  sync.Mutex // guards the following
	got [][]byte   // opened inner packets
	raw [][]byte   // datagrams as they came
}

// childOptions are what a test may want otherwise.
type childOptions struct {
	alg           *protect.Algorithm
	local, remote []esp.Selector
	limits        esp.Limits
	idle          bool // do not activate
	bare          bool // ESP without UDP
}

// key is literal, and another one for each octet of seed.
func key(alg *protect.Algorithm, seed byte) []byte {
	k := make([]byte, alg.KeyLen)
	for i := range k {
		k[i] = seed + byte(i)
	}
	return k
}

// key is another one each time.
func (l *lab) key(alg *protect.Algorithm) []byte {
	l.keys++
	return key(alg, l.keys)
}

// install installs a child, activates it unless o says otherwise, and sets up its
// peer at an outer address.
func (s *site) install(name, outer string, o childOptions) *peer {
	s.l.t.Helper()
	if o.alg == nil {
		o.alg = protect.AES256GCM16
	}
	if o.local == nil {
		o.local, o.remote = anySelectors, anySelectors
	}
	p := &peer{site: s, at: netip.AddrPortFrom(addr(outer), 4500)}
	if o.bare {
		p.at = netip.AddrPortFrom(addr(outer), 0)
		p.sock = s.l.net.ListenESP(p.at.Addr())
	} else {
		p.sock = s.l.net.Listen(p.at)
	}
	p.id = esp.ChildID(s.AllocSPI())
	to := esp.Params{SPI: esp.SPI(p.id), Algorithm: o.alg, Key: s.l.key(o.alg), Window: 1024, ESN: true}
	from := esp.Params{SPI: 0xfeed, Algorithm: o.alg, Key: s.l.key(o.alg), Window: 1024, ESN: true}
	ch := esp.Child{ID: p.id, Peer: name, In: to, Out: from, Local: o.local, Remote: o.remote, Limits: o.limits,
		Path: esp.Path{Local: netip.AddrPortFrom(s.outer, p.at.Port()), Remote: p.at}}
	if err := s.Install(ch); err != nil {
		s.l.t.Fatal(err)
	}
	var err error
	if !o.idle {
		err = s.Activate(p.id)
	}
	if err != nil {
		s.l.t.Fatal(err)
	}
	if p.out, err = esp.NewOutbound(to, esp.Limits{}, nil); err != nil {
		s.l.t.Fatal(err)
	}
	if p.in, err = esp.NewInbound(from, esp.Limits{}); err != nil {
		s.l.t.Fatal(err)
	}
	go p.listen()
	return p
}

// up installs the tunnel that most tests need and chooses it.
func (s *site) up() *peer {
	s.l.t.Helper()
	p := s.install("hq/1", "198.51.100.1", childOptions{})
	s.choose("hq", "1")
	return p
}

func (s *site) choose(conn string, tunnels ...string) {
	s.l.t.Helper()
	if err := s.Choose(conn, tunnels...); err != nil {
		s.l.t.Fatal(err)
	}
}

// host sends a packet from the inside.
func (s *site) host(b []byte) {
	s.fake.Out <- bytes.Clone(b)
	s.l.settle()
}

// inside returns what the inside host has received since it was last asked.
func (s *site) inside() (got [][]byte) {
	s.l.settle()
	for {
		select {
		case b := <-s.fake.In:
			got = append(got, b)
		default:
			return got
		}
	}
}

// want checks what the inside host has received.
func (s *site) want(packets ...[]byte) {
	s.l.t.Helper()
	equal(s.l.t, "the inside host", s.inside(), packets)
}

func equal(t *testing.T, who string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s got %d packets, want %d", who, len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s got\n%x, want\n%x", who, got[i], want[i])
		}
	}
}

// dropped checks how the drops of a site have grown since it was last asked.
func (s *site) dropped(want map[string]uint64) {
	s.l.t.Helper()
	s.l.settle()
	now := s.Drops()
	grown := map[string]uint64{}
	for reason, n := range now {
		if n != s.before[reason] {
			grown[reason] = n - s.before[reason]
		}
	}
	s.before = now
	if !maps.Equal(grown, want) {
		s.l.t.Errorf("dropped %v, want %v", grown, want)
	}
}

// refused checks that exactly one packet was dropped, for a reason, and that the inside host got nothing.
func (s *site) refused(name, reason string) {
	s.l.t.Helper()
	if got := s.inside(); len(got) != 0 {
		s.l.t.Errorf("%s: reached the inside host: %x", name, got[0])
	}
	s.l.settle()
	now := s.Drops()
	for r, n := range now {
		if grown := n - s.before[r]; r == reason && grown != 1 || r != reason && grown != 0 {
			s.l.t.Errorf("%s: %d dropped as %s, want one as %s", name, grown, r, reason)
		}
	}
	if now[reason] == 0 {
		s.l.t.Errorf("%s: not dropped as %s", name, reason)
	}
	s.before = now
}

// seal seals an inner packet as the peer.
func (p *peer) seal(inner []byte) []byte {
	p.l.t.Helper()
	next := uint8(esp.NextIPv4)
	if len(inner) > 0 && inner[0]>>4 == 6 {
		next = esp.NextIPv6
	}
	return p.sealAs(inner, next)
}

func (p *peer) sealAs(inner []byte, next uint8) []byte {
	p.l.t.Helper()
	b, err := p.out.Seal(nil, inner, next)
	if err != nil {
		p.l.t.Fatal(err)
	}
	return b
}

// send sends an inner packet through the tunnel, datagram any octets from the peer's address.
func (p *peer) send(inner []byte) { p.datagram(p.seal(inner)) }

func (p *peer) datagram(b []byte) {
	p.l.t.Helper()
	p.datagramTo(b, p.at.Port())
}

func (p *peer) datagramTo(b []byte, port uint16) {
	p.l.t.Helper()
	p.post(b, port)
	p.l.settle()
}

// post sends a datagram and does not wait for it to arrive.
func (p *peer) post(b []byte, port uint16) {
	m := []transport.Message{{Buf: b, N: len(b), Path: esp.Path{Local: p.at, Remote: netip.AddrPortFrom(p.outer, port)}}}
	if n, err := p.sock.Write(m); n != 1 {
		p.l.t.Errorf("the peer cannot send: %v", err)
	}
}

// listen collects what arrives at the peer, until the socket is closed.
func (p *peer) listen() {
	ms := []transport.Message{{Buf: make([]byte, 65536)}}
	for {
		if _, err := p.sock.Read(ms); err != nil {
			return
		}
		b := bytes.Clone(ms[0].Buf[:ms[0].N])
		p.mu.Lock()
		p.raw = append(p.raw, bytes.Clone(b))
		if plain, next, err := p.in.Open(b); err == nil {
			inner, err := esp.Inner(next, plain)
			if err != nil {
				p.l.t.Errorf("the gateway sealed what is no packet: %x", plain)
			}
			p.got = append(p.got, inner)
		}
		p.mu.Unlock()
	}
}

// opened returns the inner packets that the peer has received since it was last asked, heard all datagrams.
func (p *peer) opened() [][]byte {
	got, _ := p.take()
	return got
}

func (p *peer) heard() [][]byte {
	_, raw := p.take()
	return raw
}

func (p *peer) take() (got, raw [][]byte) {
	p.l.settle()
	p.mu.Lock()
	defer p.mu.Unlock()
	got, raw = p.got, p.raw
	p.got, p.raw = nil, nil
	return got, raw
}

// wantOpened checks what the peer has received through the tunnel since it was last asked.
func (p *peer) wantOpened(packets ...[]byte) {
	p.l.t.Helper()
	equal(p.l.t, "the peer", p.opened(), packets)
}
