// Package ikev2 is the IKEv2 protocol (RFC 7296) as a calculator: time, messages and commands in, one session.Output
// out. It starts no goroutine, reads no clock and touches no socket.
//
//	Receive(now, message) ─┐                              ┌─► Child ops for the data path
//	Do(now, command) ──────┼─► peer ─► SA ─► rules ─► do ─┼─► datagrams, in order
//	Expire(now) ───────────┘    │                         └─► events, next deadline
//	                            └ find the SA by its SPIs
//
// A message goes through an SA in this order, and changes nothing before it is authentic:
//
//	window.go   message ID: the next request, the last one again (send the kept answer), or drop
//	seal.go     open the Encrypted payload
//	fragment.go collect opened fragments until the message is whole
//	ike/wire    parse the payloads, whole or not at all
//	rules.go    is this message allowed in this state, are its payloads right? -> one row
//	the row     init.go, intermediate.go, auth.go, followup.go, create.go, rekey.go, info.go
//
// The life of an IKE SA:
//
//	initiator   initSent ──► intermediateSent ──► authSent ──┐      (intermediateSent: once for each key exchange after
//	                │                                 │      ▼       the first, most often not at all)
//	                │                                 │  established ──► deleting ──► gone
//	                │                                 │      │  ▲
//	responder   halfOpen ────────────────────────────────────┘  └─ a successor made by a rekey starts here
//	                │                                 │      │
//	                ▼                                 ▼      ▼
//	             refused                            gone   replaced (the peer rekeyed it; waits for the peer's Delete)
//
// What is refused, gone or replaced stays for a while, because the peer may ask once more (RFC 7296 §2.1). A session with nothing
// else lingers: nobody need wait for it.
//
// Owners: a peer owns its SAs, an SA owns its Child SAs until a successor inherits them. Everything belongs to the one
// goroutine that calls the session. Deadlines are fields; Wake is their minimum.
//
// Who is who is decided by each peer's credentials: pre-shared keys, the newest first, or certificates. proof.go has both,
// auth.go the order: a responder shows nothing of its own before it has verified the initiator, an initiator is up
// only when it has verified the responder, and what was wrong is told to our own log alone.
//
// Order that matters: a Child SA is installed before the message that tells the peer of it, and outbound traffic moves to
// a successor only when the peer has shown that it has it (RFC 7296 §2.8): the initiator of a rekey at once, because the
// answer proves it, the responder with the peer's Delete of the old SA or the first packet on the new one.
//
// The outer path of everything moves together, and only by what is new and authentic; moving.go and mobike.go have the
// rules.
//
// When both ends rekey the same SA at once, the nonces decide which successor stays; collide.go has the rule.
//
// What a peer refuses to rekey is asked for again, and replaced by another IKE SA before its hard end; renew.go has when.
//
// Not done: childless initiation, redirection, session resumption, EAP. A peer that needs one of these is refused by name.
//
// Start reading at rules.go, then one exchange, then a transcript in testdata.
package ikev2
