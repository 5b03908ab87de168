package simnet

import (
	"time"

	"twinbore/tunnel/transport"
)

// A Link is what a direction does to datagrams. The zero Link delivers each once, at once.
// Shares are from 0 (none) to 1 (all).
type Link struct {
	Latency   time.Duration // one way
	Jitter    time.Duration // up to so much is added, so datagrams overtake each other
	Loss      float64       // share that is lost
	Duplicate float64       // share that arrives twice, each with its own jitter
	Corrupt   float64       // share in which one bit is inverted
	MTU       int           // payloads larger than so many octets are lost without a word; 0 means no limit

	// Judge, if not nil, decides about each datagram that is not lost already. It sees the message as the receiver
	// would. A Judge that draws random numbers should serve one direction only, so that its order of calls is certain.
	Judge func(now time.Time, m transport.Message) Verdict
}

// A Verdict is what a Judge decides. The zero Verdict changes nothing.
type Verdict struct {
	Drop    bool
	Copies  int           // so many more arrive
	Delay   time.Duration // added, for all copies
	Corrupt bool          // one bit is inverted, in all copies
}
