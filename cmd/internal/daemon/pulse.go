package daemon

import (
	"time"

	"twinbore/tunnel/datapath"
)

// How silence is told. A tunnel's packets are looked at every lookQuick while there is traffic, and up to lookSlow apart when
// there is none.
const (
	lookQuick     = 50 * time.Millisecond
	lookSlow      = time.Second
	stillSending  = 200 * time.Millisecond // since our last packet: after that nobody waits for an answer
	sendingPause  = time.Second            // after which what was sent before does not count
	silenceLeast  = 400 * time.Millisecond
	silenceMost   = 2 * time.Second // unless the path is longer
	silenceAgain  = time.Second     // it is told once more while it lasts
	burstLeast    = 3               // packets of the peer's that say that it sends by a tunnel now
	burstPause    = time.Second     // after which they are a new burst
	overtakesMost = 10 * time.Millisecond
)

// A pulse is what the loop has seen of one tunnel's packets. Times are those of its looks, which no change of the host's clock
// moves; a look finds that counters have grown.
type pulse struct {
	felt     bool // there was a look before
	seen     datapath.Signs
	own      uint64 // packets to the gateway itself, of seen.Rx
	sentAt   time.Time
	cameAt   time.Time
	dataAt   time.Time     // something came that was not for the gateway itself
	burst    uint64        // of that since burstAt
	burstAt  time.Time     // after a pause
	followed bool          // this burst was told of
	asked    time.Time     // ours have left, without a longer pause, and none has come back since; zero: they have not
	told     time.Time     // that was told; zero: not in this silence
	gap      time.Duration // smoothed, between packets that come
}

// A beat is what has become more between two looks.
type beat struct{ sent, came, data uint64 }

// look takes the counters at now. before is when the look before was.
func (p *pulse) look(now, before time.Time, s datapath.Signs, own uint64) beat {
	if !p.felt || s.Tx < p.seen.Tx || s.Rx < p.seen.Rx || own < p.own {
		*p = pulse{felt: true, seen: s, own: own, cameAt: now}
		return beat{}
	}
	b := beat{sent: s.Tx - p.seen.Tx, came: s.Rx - p.seen.Rx}
	b.data = b.came - min(b.came, own-p.own)
	p.seen, p.own = s, own
	if b.sent > 0 {
		if now.Sub(p.sentAt) > sendingPause {
			p.asked = time.Time{}
		}
		p.sentAt = now
	}
	switch {
	case b.came > 0:
		gap := min(now.Sub(p.cameAt)/time.Duration(b.came), silenceMost/4)
		p.gap += (gap - p.gap) / 4
		p.cameAt, p.asked = now, time.Time{}
	case b.sent > 0 && p.asked.IsZero():
		if p.asked = now; now.Sub(before) <= 2*lookQuick {
			p.asked = before
		}
	}
	if b.data > 0 {
		if now.Sub(p.dataAt) >= burstPause {
			p.burst, p.burstAt, p.followed = 0, now, false
		}
		p.burst += b.data
		p.dataAt = now
	}
	return b
}

// silence is when silence is to be told: we go on sending, and what usually comes back until then has not. Zero: no time is known.
func (p *pulse) silence(now time.Time, rtt time.Duration) time.Time {
	if p.asked.IsZero() || now.Sub(p.sentAt) > stillSending {
		return time.Time{}
	}
	at := p.asked.Add(max(silenceLeast, min(4*p.gap, silenceMost), 2*rtt))
	if again := p.told.Add(silenceAgain); !p.told.IsZero() && again.After(at) {
		return again
	}
	return at
}

// busy reports whether silence may have to be told at any moment.
func (p *pulse) busy(now time.Time) bool { return now.Sub(p.sentAt) <= stillSending }

// replaces reports whether the peer's packets have begun to come by this tunnel and ceased to come by that one, and that is
// news. Packets of the gateway itself, as pings, are no sign of it.
func (p *pulse) replaces(that *pulse, now time.Time) bool {
	if p.followed || p.burst < burstLeast || now.Sub(p.burstAt) > burstPause || that.dataAt.Before(p.burstAt.Add(-burstPause)) {
		return false
	}
	return p.seen.LastRx.Sub(that.seen.LastRx) > max(overtakesMost, 4*that.gap)
}
