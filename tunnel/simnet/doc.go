// Package simnet is a network in memory, for tests: gateways meet on it through transport.Socket, in no time, and the
// same seed gives the same run.
//
//	gateway a                                                       gateway b
//	Socket.Write ─► NAT ─► blackhole? ─► Link: loss, Judge ─► timer ─► Tap ─► inbox ─► Socket.Read
//	                          │             │      latency, jitter          │
//	                          └── lost ◄────┘      copies, corruption       └── full: lost
//
// It is made for bubbles of testing/synctest: a delivery is a time.AfterFunc, and a waiting Read waits on channels
// only. Make the Net inside the bubble. Outside of one it works in real time.
//
// Determinism rests on three things. Two timers of one instant have no order, so each pair of sockets has instants
// of its own: every delivery is put off by less than 66 µs to the next instant whose nanoseconds, modulo 2^16, are the
// pair's number. What one socket sends to another for one instant arrives together and in order. And each pair draws
// from a random stream of its own, so it does not matter which of two sockets that write at one instant comes first.
// What remains is the program: two goroutines that write to one socket at one instant are not ordered.
//
// Who owns what: the Net copies what is written. A Net has one lock; Tap and Judge are called without it, but one
// call at a time, and must not write to a socket of the same Net.
//
// Not done: hosts and routes (each address stands alone), bandwidth, ICMP, fragmentation, a NAT
// behind a NAT.
//
// Start reading with net.go; the life of a datagram is in send.go.
package simnet
