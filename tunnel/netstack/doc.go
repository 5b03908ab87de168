// Package netstack is the gateway's own voice inside its tunnels: it answers ping at our inside addresses, and asks.
//
//	datapath ── Control: packets for the gateway itself ──► parse ─┬─ echo request ──► answer ──┐
//	                                                               └─ reply, error ──► Pings    │
//	                                                                                     │      │
//	                            Send: by the tunnel that is named ◄── request ── Ping ──┘      │
//	datapath ◄──────────────────────────────────────────────────────────────────────────────────┘
//
// The tunnel a packet came by says whose it is, not its addresses, so the same /30 may stand in two connections; no
// kernel could tell those apart. What is not for the Stack goes back to the data path, which gives it to the host: a ping
// of the host's own, say.
//
// To ping, make Pings once with what shall hear the answers, and Send:
//
//	probes := stack.Pings(func(a netstack.Answer) { mail.post(a) })
//	err := probes.Send(netstack.Ping{Peer: "hq/1", Target: target, Seq: seq, Size: 56})
//
// Numbers are the user's and need to be his own for each target only; identifiers tell the users apart. An Answer has the
// round trip's time, or says what a router said: unreachable, too big and how large is not, expired. Nothing is said of
// what got no answer: who asks has the patience.
//
// Who owns what: the Stack and each Pings have a mutex; no lock is held over Send or over who hears. There is no goroutine;
// answers are told by the one that calls Control.
//
// Start reading at stack.go, then ping.go; icmp.go has the packets.
package netstack
