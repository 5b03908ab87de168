package main

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"twinbore/tunnel/tun/tuntest"
)

// trafficInterval is the time between two packets of one host; settleTime is longer than any packet is under way.
const (
	trafficInterval = 5 * time.Millisecond
	settleTime      = 50 * time.Millisecond
)

// traffic sends numbered UDP packets between two hosts behind the gateways, both ways all the time, and counts what
// arrives.
type traffic struct {
	hosts [2]trafficHost

	mu      sync.Mutex // guards the rest
	paused  bool
	first   uint32       // number of the first packet since the last mark
	next    uint32       // number of the next packet
	arrived int          // since the last mark; what comes twice never leaves the gateway
	last    [2]time.Time // of the last arrival at each host, or of the last mark
	gap     time.Duration
}

type trafficHost struct {
	*tuntest.Fake
	addr netip.Addr
}

// A tally is what became of the packets since the tally before.
type tally struct {
	sent, lost int
	gap        time.Duration // the longest that a host waited for a packet
}

func newTraffic(left, right *tuntest.Fake) *traffic {
	return &traffic{hosts: [2]trafficHost{
		{left, netip.AddrFrom4([4]byte{10, 1, 0, 10})}, {right, netip.AddrFrom4([4]byte{10, 2, 0, 20})}}}
}

// run sends and receives until ctx is done.
func (t *traffic) run(ctx context.Context) {
	var receiving sync.WaitGroup
	for i := range t.hosts {
		receiving.Go(func() { t.receive(ctx, i) })
	}
	defer receiving.Wait()
	tick := time.NewTicker(trafficInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i, host := range t.hosts {
			number, ok := t.number()
			if !ok {
				break
			}
			select {
			case host.Out <- udpPacket(host.addr, t.hosts[1-i].addr, number):
			default: // a full queue is a loss like any other
			}
		}
	}
}

func (t *traffic) number() (uint32, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paused {
		return 0, false
	}
	t.next++
	return t.next - 1, true
}

func (t *traffic) receive(ctx context.Context, host int) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-t.hosts[host].In:
			if number, ok := udpNumber(p); ok {
				t.note(host, number, time.Now())
			}
		}
	}
}

func (t *traffic) note(host int, number uint32, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if number < t.first {
		return
	}
	t.arrived++
	t.gap = max(t.gap, now.Sub(t.last[host]))
	t.last[host] = now
}

// mark counts since the last mark and starts the next count. Sending rests for a moment, so that nothing is under way.
func (t *traffic) mark() tally {
	t.mu.Lock()
	t.paused = true
	t.mu.Unlock()
	time.Sleep(settleTime)
	t.mu.Lock()
	defer t.mu.Unlock()
	sent := int(t.next - t.first)
	out := tally{sent: sent, lost: sent - t.arrived, gap: t.gap}
	now := time.Now()
	t.paused, t.first, t.arrived, t.gap, t.last = false, t.next, 0, 0, [2]time.Time{now, now}
	return out
}

const (
	ipHeader  = 20
	udpHeader = 8
	demoPort  = 7 // echo, though nobody does
)

// udpPacket is an IPv4 packet with UDP and a number; UDP's own checksum is left out, as IPv4 allows (RFC 768).
func udpPacket(src, dst netip.Addr, number uint32) []byte {
	p := make([]byte, ipHeader+udpHeader+4)
	p[0], p[8], p[9] = 4<<4|ipHeader/4, 64, 17
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[12:], src.AsSlice())
	copy(p[16:], dst.AsSlice())
	var sum uint32
	for i := 0; i < ipHeader; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum+sum>>16))
	udp := p[ipHeader:]
	binary.BigEndian.PutUint16(udp, demoPort)
	binary.BigEndian.PutUint16(udp[2:], demoPort)
	binary.BigEndian.PutUint16(udp[4:], udpHeader+4)
	binary.BigEndian.PutUint32(udp[udpHeader:], number)
	return p
}

// udpNumber reads the number of such a packet.
func udpNumber(p []byte) (uint32, bool) {
	if len(p) != ipHeader+udpHeader+4 || p[9] != 17 {
		return 0, false
	}
	return binary.BigEndian.Uint32(p[ipHeader+udpHeader:]), true
}
