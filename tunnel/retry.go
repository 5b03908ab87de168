package tunnel

import (
	"math/rand/v2"
	"time"
)

// Retry says how long to wait after a failure before the peer is asked again: First after the first, twice as long
// after each further one, never longer than Max, each 20 % shorter or longer by chance so that gateways that failed
// together do not come back together. Zero fields mean 1 s and 60 s.
type Retry struct {
	First, Max time.Duration
}

// How long a tunnel may be in between. Each is far beyond what a live peer needs.
const (
	attemptBudget = time.Minute     // from Initiate to an outcome; IKE's own retransmissions end earlier
	leaveBudget   = 5 * time.Second // from Close to the end of the IKE SA
	bareBudget    = 2 * time.Second // an IKE SA without a Child SA, before it is asked for one or closed
	trafficMemory = 30 * time.Second
)

func (r Retry) wait(failures int, rnd *rand.Rand) time.Duration {
	wait, limit := r.First, r.Max
	if wait <= 0 {
		wait = time.Second
	}
	if limit <= 0 {
		limit = time.Minute
	}
	for range failures - 1 {
		if wait >= limit {
			break
		}
		wait *= 2
	}
	wait = min(wait, limit)
	return wait*4/5 + time.Duration(rnd.Int64N(int64(wait)*2/5+1))
}
