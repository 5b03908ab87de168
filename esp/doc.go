// Package esp holds one ESP security association per direction (RFC 4303) and the words that the data path and IKE share
// about it: Path, Params, Limits, Child, Selector.
//
//	out:  inner packet ──► Outbound.Seal ──► ESP packet          number, pad, IV, protect
//	in:   ESP packet   ──► Inbound.Open  ──► plaintext ──► Inner ──► inner packet
//	                         │ length, SPI, number      ErrMalformed, ErrUnknownSPI, ErrReplay
//	                         │ integrity check          ErrAuth        nothing above changes any state
//	                         │ number into the window   ErrReplay
//	                         └ padding, next header     ErrMalformed, ErrDummy
//
// A run of packets, such as a superpacket makes, goes by Reserve and SealAs, and by Begin, OpenNext and End: one lock for
// all, and from one place in memory to another, so that nothing is copied beside what sealing and opening write.
//
//	| SPI 4 | sequence 4 | IV 8 or 16 | inner ... | padding 1,2,3... | pad length 1 | next header 1 | ICV 12 to 32 |
//	  └───── Headroom ───────────────┘             └───── to a multiple of 4, or of the block ─────┘
//
// An Outbound owns the sequence number of its SA, an Inbound the replay window of its own; both are safe for concurrent
// use. The Outbound holds its mutex for arithmetic only, the Inbound for as long as it takes to open a run. Packets are the
// caller's: Seal and Open work in place in the caller's buffer, keep nothing of it, and allocate nothing. Neither reads a clock; lifetimes by time are IKE's.
//
// What an Inbound refuses is told by a sentinel error with a reason (DropReason), never by a log line: such packets are
// counted by the data path.
//
// Not done: looking an SA up by its SPI, comparing inner packets with selectors, and outer headers (tunnel/datapath);
// fragments of ESP packets, which the kernel puts together before we see them (E-07, RFC 4303 §3.4.1); finding a peer
// again that is 2^32 packets ahead (RFC 4303 Appendix A3); multicast.
//
// Start reading at esp.go, then outbound.go and inbound.go.
package esp
