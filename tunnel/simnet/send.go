package simnet

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

// maxPayload is the largest UDP payload over IPv4, in octets.
const maxPayload = 65507

// A flow is what goes from one socket to another: its own random numbers, and its own instants of time.
type flow struct {
	offset  int64 // this flow's instants are those with UnixNano % period == offset
	random  *rand.Rand
	pending map[int64]*arrival // by instant
}

// period is the distance between two instants of a flow, in nanoseconds.
const period = maxSockets * maxSockets

// An arrival is what one flow delivers at one instant.
type arrival struct {
	timer *time.Timer
	to    *socket
	ms    []transport.Message
}

// send takes one datagram from s. An error is what a kernel would answer; what the network loses is none.
func (n *Net) send(s *socket, m *transport.Message) error {
	if m.N > maxPayload {
		return syscall.EMSGSIZE
	}
	if m.Path.Remote.Port() == 0 && !s.bare {
		return syscall.EINVAL
	}
	now := time.Now()
	n.mu.Lock()
	f, to, path, err := n.route(s, m, now)
	if f == nil {
		n.mu.Unlock()
		return err
	}
	l, ok := n.links[direction{s.addr.Addr(), to.addr.Addr()}]
	if !ok {
		l = n.normal
	}
	if l.MTU > 0 && m.N > l.MTU {
		n.drops["mtu"]++
		n.mu.Unlock()
		return nil
	}
	// The same draws for each datagram, whatever the link's settings: a test that changes one sees the rest unchanged.
	lost, twice, corrupt := f.random.Float64() < l.Loss, f.random.Float64() < l.Duplicate, f.random.Float64() < l.Corrupt
	jitter := [2]float64{f.random.Float64(), f.random.Float64()}
	bit := f.random.Uint64()
	if lost {
		n.drops["loss"]++
		n.mu.Unlock()
		return nil
	}
	n.mu.Unlock()

	out := transport.Message{Buf: append([]byte(nil), m.Buf[:m.N]...), N: m.N, TOS: m.TOS, Path: path}
	var v Verdict
	if l.Judge != nil {
		n.hooks.Lock()
		v = l.Judge(now, out)
		n.hooks.Unlock()
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	if v.Drop {
		n.drops["judge"]++
		return nil
	}
	if (corrupt || v.Corrupt) && out.N > 0 {
		out.Buf = append([]byte(nil), out.Buf...) // the Judge may have kept the other
		bit %= uint64(out.N) * 8
		out.Buf[bit/8] ^= 1 << (bit % 8)
	}
	copies := 1 + v.Copies
	if twice {
		copies++
	}
	for i := range copies {
		n.schedule(f, to, out, now.Add(l.Latency+v.Delay+time.Duration(jitter[i%2]*float64(l.Jitter))))
	}
	return nil
}

// route finds out where a datagram goes and how its receiver will see it. Without an error and without a flow, it
// goes nowhere.
func (n *Net) route(s *socket, m *transport.Message, now time.Time) (*flow, *socket, esp.Path, error) {
	from, to := s.addr, netip.AddrPortFrom(m.Path.Remote.Addr().Unmap(), m.Path.Remote.Port())
	if s.bare {
		to = netip.AddrPortFrom(to.Addr(), 0)
	}
	local := m.Path.Local.Addr().Unmap()
	switch {
	case n.closed || s.isClosed():
		return nil, nil, esp.Path{}, net.ErrClosed
	case to.Addr().Is4() != from.Addr().Is4() || !to.IsValid():
		return nil, nil, esp.Path{}, syscall.EAFNOSUPPORT
	case local.IsValid() && !local.IsUnspecified() && local != from.Addr():
		return nil, nil, esp.Path{}, syscall.ENETUNREACH
	}
	seen, inside, ok := n.translate(s, to, now)
	if !ok {
		n.drops["nat"]++
		return nil, nil, esp.Path{}, nil
	}
	receiver := n.sockets[inside]
	switch {
	case n.holes[direction{from.Addr(), inside.Addr()}]:
		n.drops["blackhole"]++
		return nil, nil, esp.Path{}, nil
	case receiver == nil:
		n.drops["no_socket"]++
		return nil, nil, esp.Path{}, nil
	}
	return n.flow(s.number, receiver.number), receiver, esp.Path{Local: inside, Remote: seen}, nil
}

func (n *Net) flow(from, to int) *flow {
	key := [2]int{from, to}
	f := n.flows[key]
	if f == nil {
		offset := int64(from*maxSockets + to)
		var seed [32]byte
		binary.BigEndian.PutUint64(seed[:], n.seed)
		binary.BigEndian.PutUint64(seed[8:], uint64(offset))
		f = &flow{offset: offset, random: rand.New(rand.NewChaCha8(seed)), pending: make(map[int64]*arrival)}
		n.flows[key] = f
	}
	return f
}

// schedule puts a message off to the flow's first instant that is not before at.
func (n *Net) schedule(f *flow, to *socket, m transport.Message, at time.Time) {
	if n.closed {
		return
	}
	instant := at.UnixNano()
	instant += ((f.offset-instant)%period + period) % period
	a := f.pending[instant]
	if a != nil && a.to != to {
		// The receiver was closed and another took its number. Nothing can reach it any more.
		n.drops["no_socket"] += uint64(len(a.ms))
		a.to, a.ms = to, nil
	}
	if a == nil {
		a = &arrival{to: to}
		f.pending[instant] = a
		a.timer = time.AfterFunc(time.Until(time.Unix(0, instant)), func() { n.arrive(f, instant) })
	}
	a.ms = append(a.ms, m)
}

func (n *Net) arrive(f *flow, instant int64) {
	n.mu.Lock()
	a := f.pending[instant]
	if a == nil { // closed meanwhile
		n.mu.Unlock()
		return
	}
	delete(f.pending, instant)
	tap, arrived := n.tap, a.ms[:0]
	for _, m := range a.ms {
		if a.to.isClosed() || a.to.addr != m.Path.Local {
			n.drops["no_socket"]++
			continue
		}
		arrived = append(arrived, m)
	}
	n.mu.Unlock()

	for _, m := range arrived {
		if tap != nil {
			n.hooks.Lock()
			tap(time.Unix(0, instant), m)
			n.hooks.Unlock()
		}
		if !a.to.push(m) {
			n.mu.Lock()
			n.drops["overflow"]++
			n.mu.Unlock()
		}
	}
}
