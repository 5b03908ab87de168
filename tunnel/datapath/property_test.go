package datapath

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
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

var (
	worldsFor  = flag.Duration("worlds", 0, "how long TestForwardingInRandomWorlds goes on; 0: for a fixed number of worlds")
	firstWorld = flag.Uint64("world", 1, "the first world of TestForwardingInRandomWorlds")
)

// Random connections, domains, networks, filters, chosen tunnels, Child SAs and packets, in both directions, through a whole
// gateway. Whatever the state, no packet leaves by a connection that does not own its destination, none arrives with a
// source that its connection does not own, nothing crosses from one domain to another, nothing leaves in
// clear, and each packet comes out or is counted once. Where the state lets a packet pass, it does.
func TestForwardingInRandomWorlds(t *testing.T) { // R33, R34, R47, F11, TS-05, TS-06, TS-07, DOS-10
	const fixed = 25
	end, sums := time.Now().Add(*worldsFor), sums{}
	for n := uint64(0); n < fixed || time.Now().Before(end); n++ {
		seed := *firstWorld + n
		synctest.Test(t, func(t *testing.T) { live(t, seed, &sums) })
		if t.Failed() {
			t.Fatalf("world %d is wrong; -run TestForwardingInRandomWorlds -world %d lives it again", seed, seed)
		}
		if n == fixed-1 {
			sums.showEnough(t)
		}
	}
	if *worldsFor > 0 {
		t.Logf("%+v", sums)
	}
}

// sums are what the worlds have had in all, so that a test that looks at nothing is noticed.
type sums struct{ Worlds, Units, Left, Arrived, Taken, Own, Joined, Supers, Followed, Dropped int }

func (s sums) showEnough(t *testing.T) {
	if s.Left < 200 || s.Arrived < 200 || s.Taken < 5 || s.Own < 5 || s.Joined < 3 || s.Supers < 10 || s.Followed < 3 || s.Dropped < 500 {
		t.Errorf("the test shows little: %+v", s)
	}
}

// A world is a gateway with what is random about it.
type world struct {
	*site
	*rand.Rand
	oracle
	names   []string                 // of domains
	inside  map[string]*tuntest.Fake // by domain
	ends    []*end                   // Child SAs that there are or were
	chosen  map[string][]string      // tunnels by connection
	units   map[string]*unit         // what was sent, by the octets of each packet
	open    []*unit                  // not yet seen to come out
	dropped uint64                   // as counted before
	outer   int                      // addresses used for peers
	wire    int                      // datagrams from the gateway
	serial  uint32
	taken   []taken
	sums    *sums
}

// An end is the far end of a Child SA.
type end struct {
	*peer
	conn, tunnel string
	any          bool // selectors
	active, gone bool
}

// A unit is what was sent at once: a packet, or a superpacket, which comes out whole or not at all.
type unit struct {
	from    string // domain; "" for what came out of a tunnel, or is the gateway's own
	own     string // "connection/tunnel" by which the gateway's own is to leave
	by      *end   // where it came from
	packets int
	p       packet // the first
	must    bool   // it comes out
	seen    int
}

type taken struct {
	peer string
	b    []byte
}

func live(t *testing.T, seed uint64, all *sums) {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 33)), inside: map[string]*tuntest.Fake{}, chosen: map[string][]string{}, units: map[string]*unit{}, sums: all}
	l := &lab{t: t, net: simnet.New(seed)}
	if w.IntN(2) == 0 {
		l.offloads = tun.Offloads{TSO: true, USO: true}
	}
	defer l.net.Close()
	control := w.IntN(2) == 0
	w.site = l.gateway(parisOuter, func(c *Config) {
		c.Keepalive = 240 * time.Hour
		for i := range w.IntN(3) {
			f := tuntest.New(1500)
			f.Offload(l.offloads)
			name := fmt.Sprintf("d%d", i)
			c.Domains = append(c.Domains, Domain{Name: name, Device: f.Device()})
			w.names, w.inside[name] = append(w.names, name), f
		}
		if control {
			c.Control = func(peer string, b []byte) bool {
				mine := len(b)%2 == 0
				if mine {
					w.taken = append(w.taken, taken{peer, bytes.Clone(b)})
				}
				return mine
			}
		}
	})
	w.names, w.inside[DefaultDomain] = append(w.names, DefaultDomain), w.fake
	w.own = []netip.Addr{addr(gatewayItself), addr(parisOuter)}
	w.SetOwn(w.own)
	l.net.Tap(func(_ time.Time, m transport.Message) {
		if m.Path.Remote.Addr() == addr(parisOuter) {
			w.wire++
			if m.Path.Remote.Port() != 4500 || m.N < 8 || bytes.Contains(m.Buf[:m.N], marker) {
				t.Errorf("in clear, or no ESP: %x from %v", m.Buf[:m.N], m.Path)
			}
		}
	})
	w.configure()
	w.start()
	for range 12 {
		for range w.IntN(4) {
			w.change()
		}
		for range 1 + w.IntN(30) {
			w.packet()
		}
		w.look()
		if t.Failed() {
			return
		}
	}
	if lost := l.net.Drops(); len(lost) != 0 {
		t.Errorf("datagrams for nobody: %v", lost)
	}
	all.Worlds++
	all.Joined += int(w.Stats().Joined)
	all.Supers += int(w.Stats().Superpackets)
	for _, c := range w.Gateway.conns {
		if r := c.rules.Load(); r != nil && r.followed.slots.Load() != nil {
			all.Followed++
		}
	}
}

func pick[T any](w *world, from []T) T { return from[w.IntN(len(from))] }

var (
	someNetworks = prefixes("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "10.2.1.0/24", "10.2.1.1/32", "10.3.0.0/16", "10.3.1.0/24",
		"169.254.1.1/32", "2001:db8::/32", "2001:db8:2::/48", "2001:db8:3::/48", "2001:db8:2::1/128", "::/0")
	someAddrs = []string{"10.1.0.1", "10.1.1.1", "10.1.1.2", "10.2.0.1", "10.2.1.1", "10.2.1.2", "10.3.0.1", "10.3.1.1", "10.9.9.9", internet,
		gatewayItself, insidePeer1, insidePeer2, inside1, inside2, "127.0.0.1", "0.0.0.1", "224.0.0.5", "255.255.255.255"}
	someAddrs6 = []string{"2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::2", "2001:db8:3::1", "2001:db8:ffff::1", "2606::1", "::1", "fe80::1", "ff02::1"}
	somePorts  = []int{22, 53, 80, 179, 443, 500, 3784, 4500, 8050}
)

// configure gives the gateway other connections, or tries some that contradict each other.
func (w *world) configure() {
	var conns []Connection
	taken := map[string]bool{}
	for i := range 1 + w.IntN(5) {
		c := Connection{Name: fmt.Sprintf("c%d", i), Domain: pick(w, w.names), MSS: w.IntN(2) * 1200}
		if c.Domain == DefaultDomain && w.IntN(2) == 0 {
			c.Domain = ""
		}
		for range 1 + w.IntN(3) {
			p := pick(w, someNetworks)
			if w.IntN(3) == 0 {
				c.Sources = append(c.Sources, pick(w, someNetworks))
			}
			if key := domainName(c.Domain) + p.String(); !taken[key] {
				taken[key] = true
				c.Networks = append(c.Networks, p)
			}
		}
		if w.IntN(3) > 0 {
			c.Local = prefixes("10.1.0.0/16", "2001:db8:1::/48")
		}
		for k := range 1 + w.IntN(2) {
			tunnel := Tunnel{Name: fmt.Sprint(k)}
			if w.IntN(2) == 0 {
				tunnel.Inside, tunnel.InsidePeer = addr(pick(w, []string{inside1, inside2})), addr(pick(w, []string{insidePeer1, insidePeer2}))
			}
			c.Tunnels = append(c.Tunnels, tunnel)
		}
		if w.IntN(3) == 0 {
			c.Filter = Filter{In: w.rules(), Out: w.rules()}
		}
		conns = append(conns, c)
	}
	if bad := w.IntN(4) == 0 && len(conns[0].Networks) > 0; bad {
		twin := conns[0]
		twin.Name, twin.Tunnels = "twin", nil
		if err := w.SetConnections(append(slices.Clone(conns), twin)); err == nil {
			w.l.t.Error("a network has two owners")
		}
		w.look() // and nothing has changed
	}
	if err := w.SetConnections(conns); err != nil {
		w.l.t.Error(err)
	}
	w.oracle.conns = conns
	for name, tunnels := range w.chosen {
		c := w.connection(name)
		if c == nil {
			delete(w.chosen, name)
			continue
		}
		w.chosen[name] = slices.DeleteFunc(tunnels, func(t string) bool { return !c.has(t) })
	}
}

func (c *Connection) has(tunnel string) bool {
	return slices.ContainsFunc(c.Tunnels, func(t Tunnel) bool { return t.Name == tunnel })
}

func (w *world) rules() (out []FilterRule) {
	for range w.IntN(3) {
		r := FilterRule{Deny: w.IntN(2) == 0, Proto: pick(w, []uint8{AnyProto, protoTCP, protoUDP, protoICMP, protoICMPv6})}
		if w.IntN(2) == 0 {
			r.FromPort = uint16(pick(w, somePorts))
			r.ToPort = r.FromPort + uint16(w.IntN(100))
		}
		out = append(out, r)
	}
	return out
}

func (w *world) connection(name string) *Connection {
	for i := range w.oracle.conns {
		if w.oracle.conns[i].Name == name {
			return &w.oracle.conns[i]
		}
	}
	return nil
}

// change makes something else of the state.
func (w *world) change() {
	c := &w.oracle.conns[w.IntN(len(w.oracle.conns))]
	switch w.IntN(8) {
	case 0:
		w.configure()
	case 1, 2, 3:
		w.child(c)
	case 4, 5:
		var names []string
		for _, t := range c.Tunnels {
			if w.IntN(4) > 0 {
				names = append(names, t.Name)
			}
		}
		w.choose(c.Name, names...)
		w.chosen[c.Name] = names
	case 6:
		w.follow(c.Name, c.Tunnels[w.IntN(len(c.Tunnels))].Name)
	case 7:
		if len(w.ends) > 0 && w.IntN(2) == 0 {
			e := pick(w, w.ends)
			w.Remove(e.id)
			e.gone = true
		} else {
			time.Sleep(time.Duration(w.IntN(90)) * time.Second)
		}
	}
	w.look() // what waited may go now, by the rules of now
}

// child gives a tunnel a Child SA.
func (w *world) child(c *Connection) {
	w.outer++
	o := childOptions{alg: protect.AES128GCM16, idle: w.IntN(4) == 0}
	e := &end{conn: c.Name, tunnel: pick(w, c.Tunnels).Name, active: !o.idle, any: w.IntN(3) > 0}
	if !e.any {
		o.local = anySelectors
		o.remote = []esp.Selector{esp.SelectorFor(pick(w, someNetworks))}
	}
	e.peer = w.install(e.conn+"/"+e.tunnel, netip.AddrFrom4([4]byte{203, 0, byte(w.outer >> 8), byte(w.outer)}).String(), o)
	w.ends = append(w.ends, e)
}

// passing reports whether a packet for a connection leaves for certain: every tunnel that it might take can carry it.
func (w *world) passing(c *Connection, tunnel int) bool {
	tunnels := w.chosen[c.Name]
	if tunnel >= 0 {
		tunnels = []string{c.Tunnels[tunnel].Name}
	}
	for _, t := range c.Tunnels {
		picky := slices.ContainsFunc(w.ends, func(e *end) bool { return e.conn == c.Name && e.tunnel == t.Name && !e.gone && !e.any })
		open := slices.ContainsFunc(w.ends, func(e *end) bool { return e.conn == c.Name && e.tunnel == t.Name && !e.gone && e.active && e.any })
		if picky && !open || slices.Contains(tunnels, t.Name) && !open {
			return false
		}
	}
	return len(tunnels) > 0
}

// marker is in every packet, so that one in clear is recognized.
var marker = []byte("in clear!")

// payload is another one for each packet, of any length from 16.
func (w *world) payload() []byte {
	w.serial++
	b := binary.BigEndian.AppendUint32(bytes.Clone(marker), w.serial)
	return append(b, make([]byte, 3+w.IntN(100))...)
}

// some returns a packet between two addresses.
func (w *world) some(src, dst string) []byte {
	sport, dport := pick(w, somePorts), pick(w, somePorts)
	body := w.payload()
	switch w.IntN(5) {
	case 0, 1:
		b := udp(src, dst, sport, dport, len(body))
		copy(b[len(b)-len(body):], body)
		return b
	case 2:
		return w.ping(src, dst)
	case 3:
		if addr(src).Is6() {
			return ip(src, dst, protoSCTP, append([]byte{0, 22, 0, 80}, body...))
		}
		upper := append(tcp(src, dst, sport, dport, tcpACK)[20:], body...)
		if w.IntN(2) == 0 {
			return fragment(ip(src, dst, protoTCP, upper), 0, true)
		}
		return fragment(ip(src, dst, protoTCP, upper), 8*(1+w.IntN(100)), w.IntN(2) == 0)
	}
	b := tcp(src, dst, sport, dport, tcpACK)
	head := len(b) - 20
	return ip(src, dst, protoTCP, append(b[head:], body...))
}

func (w *world) ping(src, dst string) []byte {
	body := w.payload()
	b := echo(src, dst, len(body))
	copy(b[len(b)-len(body):], body)
	return b
}

// packet sends one, or a superpacket, or something that is none, from a random side.
func (w *world) packet() {
	addrs, near := someAddrs, "10.1.0.1"
	if w.IntN(4) == 0 {
		addrs, near = someAddrs6, "2001:db8:1::1"
	}
	src, dst := pick(w, addrs), pick(w, addrs)
	if w.IntN(2) == 0 && len(w.ends) > 0 {
		if w.IntN(4) > 0 {
			dst = near
		}
		w.fromPeer(w.likely(func(e *end) bool {
			c := w.connection(e.conn)
			return !e.gone && c != nil && longest(c.Networks, addr(src)) >= 0
		}), src, dst)
		return
	}
	if w.IntN(4) > 0 {
		src = near
	}
	if w.IntN(8) == 0 {
		w.fromUs(src, dst)
		return
	}
	w.fromHost(pick(w, w.names), src, dst)
}

// fromUs has the gateway send a packet of its own by a tunnel that is named.
func (w *world) fromUs(src, dst string) {
	c := &w.oracle.conns[w.IntN(len(w.oracle.conns))]
	t := pick(w, c.Tunnels)
	if t.Inside.IsValid() && w.IntN(2) == 0 {
		src, dst = t.Inside.String(), t.InsidePeer.String()
	}
	b, u := w.ping(src, dst), &unit{own: c.Name + "/" + t.Name, packets: 1, must: true}
	if err := w.Send(u.own, b); err != nil {
		return
	}
	u.p, _ = parse(b)
	w.units[string(b)], w.open = u, append(w.open, u)
	w.sums.Units++
	w.sums.Own++
}

// likely returns an end that is so more often than not.
func (w *world) likely(so func(*end) bool) *end {
	for range 10 {
		if e := pick(w, w.ends); so(e) {
			return e
		}
	}
	return pick(w, w.ends)
}

// start gives most connections what they need.
func (w *world) start() {
	for i := range w.oracle.conns {
		c := &w.oracle.conns[i]
		for range 2 * w.IntN(3) {
			w.child(c)
		}
		w.chosen[c.Name] = []string{c.Tunnels[w.IntN(len(c.Tunnels))].Name}
		w.choose(c.Name, w.chosen[c.Name]...)
		if len(c.Tunnels) > 1 {
			w.follow(c.Name, c.Tunnels[0].Name, c.Tunnels[1].Name)
		}
	}
}

func (w *world) fromHost(domain, src, dst string) {
	u := &unit{from: domain, packets: 1}
	if w.l.offloads.TSO && w.IntN(4) == 0 {
		n := 1 + w.IntN(5)
		f := superpacket(src, dst, protoTCP, 500*n, 500, tcpACK, timestamps...)
		w.serial++
		put16(f.Buf, f.At+f.SumStart+4, int(w.serial>>16)) // TCP's sequence number is the serial number
		put16(f.Buf, f.At+f.SumStart+6, int(w.serial)&0xf000)
		w.serial = w.serial&^0xfff + 0x1000
		for i, b := range segments(w.l.t, f) {
			w.expect(u, b, i)
		}
		w.inside[domain].Super <- *f
		return
	}
	b := w.some(src, dst)
	if w.IntN(16) == 0 {
		b = b[:w.IntN(20)]
	}
	w.expect(u, b, 0)
	w.inside[domain].Out <- bytes.Clone(b)
}

func (w *world) fromPeer(e *end, src, dst string) {
	packets := [][]byte{w.some(src, dst)}
	if c := w.connection(e.conn); c != nil && c.has(e.tunnel) && w.IntN(8) == 0 {
		if t := c.Tunnels[slices.IndexFunc(c.Tunnels, func(t Tunnel) bool { return t.Name == e.tunnel })]; t.Inside.IsValid() {
			packets[0] = w.ping(t.InsidePeer.String(), t.Inside.String()) // for Control, if that takes it
		}
	} else if w.IntN(4) == 0 && addr(src).Is4() {
		w.serial += 0x1000
		f := superpacket(src, dst, protoTCP, 900, 300, tcpACK, timestamps...)
		put16(f.Buf, f.At+f.SumStart+4, int(w.serial>>16))
		put16(f.Buf, f.At+f.SumStart+6, int(w.serial)&0xf000)
		packets = segments(w.l.t, f)
	}
	for _, b := range packets {
		u := &unit{by: e}
		sealed := e.seal(b)
		switch w.IntN(12) {
		case 0:
			sealed[8+w.IntN(len(sealed)-8)] ^= 1
			w.expect(u, nil, 0)
		case 1:
			e.post(sealed, 4500)
			w.expect(u, b, 0)
			w.expect(&unit{by: e}, nil, 0) // the same once more
		default:
			w.expect(u, b, 0)
		}
		e.post(sealed, 4500)
		if at := bytes.Index(b, marker); at >= 0 && w.IntN(4) == 0 { // another end says that it has the same flow
			other, twin := pick(w, w.ends), bytes.Clone(b)
			w.serial++
			binary.BigEndian.PutUint32(twin[at+len(marker):], w.serial)
			w.expect(&unit{by: other}, twin, 0)
			other.post(other.seal(twin), 4500)
		}
	}
}

// expect notes a packet of a unit; nil is one that cannot come out.
func (w *world) expect(u *unit, b []byte, i int) {
	u.packets = i + 1
	if i == 0 {
		w.open = append(w.open, u)
		w.sums.Units++
	}
	p, ok := parse(b)
	if b == nil || !ok {
		return
	}
	w.units[string(b)] = u
	if u.p = p; u.by == nil {
		c, tunnel := w.out(u.from, &p)
		u.must = c != nil && w.passing(c, tunnel)
		return
	}
	if c := w.connection(u.by.conn); c != nil && !u.by.gone && u.by.any && c.has(u.by.tunnel) {
		u.must = w.in(c, &p)
	}
}

// look lets everything arrive and holds it against the oracle.
func (w *world) look() {
	w.l.t.Helper()
	w.l.settle()
	opened := 0
	for _, e := range w.ends {
		e.mu.Lock()
		got, raw := e.got, len(e.raw)
		e.got, e.raw = nil, nil
		e.mu.Unlock()
		if opened += raw; raw != len(got) {
			w.l.t.Errorf("%s/%s got %d datagrams, of which %d are packets", e.conn, e.tunnel, raw, len(got))
		}
		for _, b := range got {
			w.left(e, b)
		}
	}
	if opened != w.wire {
		w.l.t.Errorf("%d datagrams left, %d came to peers", w.wire, opened)
	}
	w.wire = 0
	for _, name := range w.names {
		for more := true; more; {
			select {
			case b := <-w.inside[name].In:
				w.arrived(name, b)
			default:
				more = false
			}
		}
	}
	for _, got := range w.taken {
		u := w.units[string(got.b)]
		if u == nil || u.by == nil || u.by.conn+"/"+u.by.tunnel != got.peer {
			w.l.t.Errorf("control got %x as %s's", got.b, got.peer)
			continue
		}
		u.seen++
		w.sums.Taken++
	}
	w.taken = nil
	w.balance()
}

// left is told that a packet left by a Child SA, e's.
func (w *world) left(e *end, b []byte) {
	w.sums.Left++
	u := w.units[string(b)]
	if u == nil || u.by != nil {
		w.l.t.Errorf("a packet came out at %s that no host has sent: %x", e.conn, b)
		return
	}
	u.seen++
	p, _ := parse(b)
	if u.own != "" {
		if !w.sends(e, &p) || u.own != e.conn+"/"+e.tunnel {
			w.l.t.Errorf("our own packet for %s, from %v to %v, left by %s/%s", u.own, p.src, p.dst, e.conn, e.tunnel)
		}
		return
	}
	c, tunnel := w.out(u.from, &p)
	if c == nil || c.Name != e.conn || tunnel >= 0 && c.Tunnels[tunnel].Name != e.tunnel {
		w.l.t.Errorf("from %s, %v to %v left by %s/%s, but belongs to %+v", u.from, p.src, p.dst, e.conn, e.tunnel, c)
	}
}

// sends says whether the gateway's own packet may leave by a tunnel: between its ends, or from one of our networks to one that
// the connection owns.
func (w *world) sends(e *end, p *packet) bool {
	c := w.connection(e.conn)
	if c == nil || !c.has(e.tunnel) {
		return false
	}
	t := c.Tunnels[slices.IndexFunc(c.Tunnels, func(t Tunnel) bool { return t.Name == e.tunnel })]
	if c.Local != nil && longest(c.Local, p.src) < 0 && p.src != t.Inside { // R45
		return false
	}
	owner, named, _ := w.owner(domainName(c.Domain), p.dst)
	owned := owner != nil && owner.Name == c.Name && (named < 0 || c.Tunnels[named].Name == t.Name)
	return owned || p.dst == t.InsidePeer
}

// arrived is told that a packet came out of the device of a domain.
func (w *world) arrived(domain string, b []byte) {
	w.sums.Arrived++
	u := w.units[string(b)]
	if u == nil || u.by == nil {
		w.l.t.Errorf("domain %s got what no peer has sent: %x", domain, b)
		return
	}
	u.seen++
	p, _ := parse(b)
	c := w.connection(u.by.conn)
	if c == nil || u.by.gone || domainName(c.Domain) != domain || !w.in(c, &p) {
		w.l.t.Errorf("domain %s got %v to %v from %s, which may not send it: %+v", domain, p.src, p.dst, u.by.conn, c)
	}
}

// balance holds what came in against what came out, was dropped, or waits.
func (w *world) balance() {
	came := 0
	w.open = slices.DeleteFunc(w.open, func(u *unit) bool {
		if u.seen == 0 {
			return false
		}
		if u.seen != u.packets {
			w.l.t.Errorf("of %d packets between %v and %v %d came out", u.packets, u.p.src, u.p.dst, u.seen)
		}
		came++
		return true
	})
	waiting, total := 0, uint64(0)
	for _, c := range w.Gateway.conns {
		waiting += c.waiting.n
	}
	for _, n := range w.Drops() {
		total += n
	}
	gone := int(total - w.dropped)
	if len(w.open) != gone+waiting {
		w.l.t.Errorf("%d packets did not come out, %d were dropped and %d wait: %v", len(w.open), gone, waiting, w.Drops())
	}
	for _, u := range w.open {
		if u.must {
			w.l.t.Errorf("a packet from %v to %v did not pass (%+v)", u.p.src, u.p.dst, u)
		}
	}
	if waiting == 0 { // what waits is not yet lost, and nobody knows which it is
		w.sums.Dropped += gone
		w.open, w.dropped = nil, total
		clear(w.units)
	}
}
