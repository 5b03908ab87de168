package daemon

import (
	"fmt"
	"time"
)

// When traffic is called one-way (R44). A flow that needs no answer is one-way, too, so this is said and nothing follows from it.
const (
	oneWayPackets = 10               // at least, in one direction
	oneWayFor     = 5 * time.Second  // at least, without one in the other
	oneWayPause   = 10 * time.Second // after which what was before does not count
	oneWayShown   = 30 * time.Second // after the last packet
)

// A balance is how the packets of hosts go to and fro in a connection, by whichever of its tunnels. Pings of the gateways
// themselves do not count.
type balance struct{ out, in streak }

// A streak is what has gone one way since something went the other.
type streak struct {
	packets     uint64
	since, last time.Time
}

// look takes how many packets have gone either way since the look before.
func (b *balance) look(now time.Time, out, in uint64) {
	if in > 0 {
		b.out = streak{}
	}
	if out > 0 {
		b.in = streak{}
	}
	switch {
	case out > 0 && in == 0:
		b.out.add(now, out)
	case in > 0 && out == 0:
		b.in.add(now, in)
	}
}

func (s *streak) add(now time.Time, packets uint64) {
	if now.Sub(s.last) > oneWayPause {
		*s = streak{since: now}
	}
	s.packets, s.last = s.packets+packets, now
}

// oneWay reports whether these are packets that nobody answers.
func (s *streak) oneWay(now time.Time) bool {
	return s.packets >= oneWayPackets && s.last.Sub(s.since) >= oneWayFor && now.Sub(s.last) < oneWayShown
}

// verdict says that packets go one way only, and where to look; "" when they do not.
func (b *balance) verdict(now time.Time) string {
	switch {
	case b.out.oneWay(now):
		return fmt.Sprintf("one-way: %d packets sent in %s and none came back: look for a route to our networks, and a firewall, at the far end",
			b.out.packets, b.out.last.Sub(b.out.since).Round(time.Second))
	case b.in.oneWay(now):
		return fmt.Sprintf("one-way: %d packets came in %s and none went back: look for a route to the peer's networks, and a firewall, on our side",
			b.in.packets, b.in.last.Sub(b.in.since).Round(time.Second))
	}
	return ""
}
