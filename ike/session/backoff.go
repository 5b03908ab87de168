package session

import "time"

// A Backoff is a retransmission schedule (RFC 7296 §2.4): the same request is sent Tries times in all, waiting
// First after the first, Factor times longer after each, never longer than Max; after the last wait it has failed.
type Backoff struct {
	First  time.Duration
	Factor float64 // 1 or more
	Max    time.Duration
	Tries  int
}

// DefaultBackoff gives up after 15.5 s: short enough that a second tunnel can take over, long enough for a
// mobile uplink (the default of other daemons, up to 165 s, is not made for two tunnels).
var DefaultBackoff = Backoff{First: 500 * time.Millisecond, Factor: 2, Max: 10 * time.Second, Tries: 5}

// Wait returns how long to wait for an answer after sending the request for the nth time, counted from 1; false
// means that it may not be sent again once that time is over.
func (b Backoff) Wait(n int) (wait time.Duration, more bool) {
	wait = b.First
	for range n - 1 {
		wait = time.Duration(float64(wait) * b.Factor)
		if b.Max > 0 && wait > b.Max {
			wait = b.Max
			break
		}
	}
	return wait, n < b.Tries
}

// Budget is the time from the first sending to giving up.
func (b Backoff) Budget() time.Duration {
	var sum time.Duration
	for n := 1; n <= b.Tries; n++ {
		wait, _ := b.Wait(n)
		sum += wait
	}
	return sum
}
