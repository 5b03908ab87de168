// Package netstack is the gateway's own voice inside its tunnels: it answers ping at our inside addresses, asks, and speaks TCP.
//
//	datapath ── Control: packets for the gateway itself ─┬─ echo request ──► answer ────────────────────────┐
//	                                                     ├─ echo reply, ICMP error ──► Pings ──► who asked  │
//	                                                     └─ TCP ──► gVisor ──► net.Conn, net.Listener       │
//	                                                                  │                                     │
//	datapath ◄── Send: by the tunnel that is named ───────────────────┴── echo request ◄── Pings ───────────┘
//
// The tunnel a packet came by says whose it is, not its addresses, so the same /30 may stand in two connections; no
// kernel could tell those apart. What is not for the Stack goes back to the data path, which gives it to the host: a ping
// of the host's own, say, or BGP where another program speaks it.
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
// TCP is gVisor's (tcp.go, nic.go, link.go). Echo is answered without it: a ping then costs no allocation of a stack's, a peer's
// packets reach gVisor only where somebody listens, and the stack is made when it is first needed. It has a device for each tunnel.
// gVisor looks for an endpoint by addresses and ports before it looks at the device, so tunnels with the same address are put
// into different stacks (gvisorFor).
//
// Who owns what: the Stack and each Pings have a mutex; no lock is held over Send or over who hears. Answers are told by
// the goroutine that calls Control; goroutines there are none but gVisor's, which Close ends. Tests of those are not in a synctest
// bubble: gVisor's goroutines wait in a way that a bubble does not know.
//
// Not done here: UDP. BFD wants the TTL of each packet and makes its own.
//
// Start reading at stack.go, then ping.go; icmp.go has the packets.
package netstack
