// Package datapath moves packets between the device and the sockets, through the Child SAs that IKE has made.
//
//	           ┌──────────────────────────── sender ────────────────────────────────┐
//	device ──► │ parse ─ loop? ─ fib: connection ─ chosen tunnel ─ child by selectors │
//	           │ ─ size (ICMP answer, or cut) ─ MSS ─ cutter ─ Outbound ─ outbox       │ ──► socket
//	           └───────────────────────────────────────────────────────────────────┘
//	           ┌──────────────────────────── receiver ──────────────────────────────┐
//	device ◄── │ joined ─ MSS ─ destination ours? ─ source the peer's? ─ selectors     │
//	           │      ─ inner packet ─ Inbound ─ SA by SPI ─ IKE, ESP, keepalive?      │ ◄── socket
//	           └──────────────────────────────────────────┬────────────────────────┘
//	                                       inbox ◄── IKE ─┘        ReadIKE, WriteIKE ◄──► engine
//
// One goroutine reads each queue of the device and one each socket, and each carries its batch to the end: no channel, no
// allocation, no reading of the clock for a packet. A worker is a queue and a socket of each address; the SPI names the
// worker (sad.go), so that the kernel can bring the packets of an SA to one, but any may take and send for all. Another
// goroutine, control, does what a packet must not wait for: it calls Acquire, Spent, Seen and Control, sends what waited for a
// Child SA, and NAT keepalives. A last one looks once a minute at the routes and at offloads that were given up (watch.go).
//
// Superpackets make the speed. The kernel hands over up to 64 KB of one flow as one packet; it meets the policy once, and
// becomes packets only where they are sealed: the cutter writes each packet's headers in front of its payload, and
// Outbound seals it from there into a slab, one behind the other, which the socket sends as one message. The other way a run of
// datagrams comes in one piece; each is opened so that its payload comes to lie behind the payload before it, and the device
// gets one superpacket again (joined). Nothing is copied beside what sealing and opening write. Packets are joined only if
// cutting would give them back as they were, and after their checksums were found right: the kernel
// takes those for granted. Each step works packet by packet where a kernel, a peer or the configuration has it so.
//
// Who owns what. Slots, slabs and superpackets that grow belong to the goroutine that reads the device or the socket;
// what is kept longer is copied. Senders seal side by side for one SA too, and send in the order of its numbers (turn.go). The SA table, the policy, the rules of a connection, a tunnel's list of
// children and a child's lane are snapshots behind atomic pointers: the packet path loads them, and the methods of Gateway replace
// them under one mutex. Sequence numbers and replay windows belong to package esp.
//
// What is decided here, and by what:
//
//   - Which domain: that of the device, or that of the tunnel's connection. Each has a table of its own, and nothing gets
//     from one to another (F11, domain.go).
//   - Which connection: the longest prefix (R33); none: dropped (R34). A connection's own networks also bound
//     who may use it and what the peer may reach (R13, R45). A packet from one peer never goes to another.
//   - Which packets: what the connection's filter does not deny (R47, filter.go), after all of the above and before a tunnel is
//     asked for.
//   - Which tunnel: the one by which the flow came in, if that is another than would be chosen and may carry answers
//     (follow.go); else the one that Choose named last, or of several the one that the hash of the flow prefers (choice.go). What
//     arrives is taken from each tunnel of a connection, since the two ends may choose differently for a while (R21, TS-07),
//     but never from another connection's.
//   - Which child: the newest activated whose selectors match, or of its lot the worker's own (lot.go, RFC 9611); an
//     old one works inbound until it is removed, so a rekey
//     loses nothing.
//   - No child: up to four packets wait, for ten seconds; more are dropped. Nothing is ever sent in clear (TS-06).
//   - What the two ends of a tunnel say to each other, ping, BGP and BFD, is shown to Config.Control before the host
//     gets it (punt.go); Send is its way out, by a tunnel that is named (control.go). So the tunnel says whose an inside
//     address is, and two connections may have the same.
//   - A packet to this host itself: not to the IKE ports nor to a port in Config.Guarded; the rest is the host's firewall's to
//     decide. differs: ESP-08 wants all but BGP and ICMP closed, which would cut off every host that is its own gateway.
//   - The source address of an outer packet decides nothing. IKE is told when the newest packet of a Child SA comes from
//     elsewhere, and decides whether the path moves (RPL-09, elsewhere.go).
//
// Every dropped packet is counted once, with its reason (drop.go). A packet that waits is not yet dropped.
//
// The path MTU is the configured one, or less where the route takes less; nothing that comes in over the network is believed about
// it but what the kernel makes of ICMPv6, and that not below 1280 octets (mtu.go, DOS-17).
//
// Addresses are never translated (R46). The inner TTL is not touched: the kernel has counted the hop. DSCP and ECN go to the
// outer header; of the outer header ECN alone comes back (ecn.go).
//
// Not done here: forwarding between two peers (hub); state in filters.
//
// Start reading at gateway.go, then sender.go and outbox.go, receiver.go and join.go.
package datapath
