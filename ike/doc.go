// Package ike runs IKE: it brings each message to its session, does what the session says, and keeps strangers from
// costing much. What a message means is the protocol's (ike/ikev2); when a peer is wanted is the caller's. The engine
// stands between a network that anybody can write to and sessions that are calculators: they take a time and some
// octets and return an Output.
//
//	Conn.ReadIKE
//	     │ one goroutine: demux.go
//	     ▼
//	header ──► version ──► our SPI known? ──yes──────────────────────────────┐
//	           version.go       │ no, and it is a first IKE_SA_INIT request   │
//	                            ▼                                             │
//	           rate of its source (rate.go) ─► sent again? ──yes──────────────┤
//	                            │ no                                          │
//	                            ▼                                             ▼
//	   who may it be, is it admitted (peers.go) ─► half-open limits (table.go) inbox of its shard (inbox.go)
//	                            │                  │ many                     ▲
//	                            │                  ▼                          │
//	                            │            cookie (cookie.go) ──returned────┤
//	                            └──────── new session ────────────────────────┘
//	                                                                          │ one goroutine a shard: drive.go
//	 Do, Shutdown ───────── orders ──────────────────────────────────────►    ▼
//	 deadlines (handle.go) ──────────────────────────────────────► Session.Receive · Do · Expire
//	                                                                          │ Output
//	                                                                          ▼
//	 apply:  data path ─► claim SPIs ─► Conn.WriteIKE ─► release ─► log, count, Observe (observe.go) ─► next deadline
//
// # Who owns what
//
// A shard owns its sessions and everything about them; a peer's sessions belong to the shard that its name hashes to.
// A first message may be from one of several peers: its session begins on any shard, and moves home when its peer is
// known. The demultiplexer owns the cookie secrets and the rates of its own answers. What both need, which SPI leads where
// and how many sessions are half-open, is in one table under a mutex: a claim must hold before the answer that
// tells the peer of it has left. Nothing else is shared. Run starts every goroutine and waits for all of them.
//
// Inboxes hold 128 messages; what does not fit is dropped and counted, and IKE asks again. Orders always fit.
// A fault in a session (a panic) ends that session: its Child SAs leave the data path, its owner is told, the log has
// the stack. A fault of the demultiplexer costs one message.
//
// # Peers change
//
// While the engine runs peers come and go and become others (change.go, secrets.go). What a live session has negotiated it
// keeps; what it is told of, it uses from its next negotiation on. The directory of peers counts its changes, and each session
// knows the count of when it was made: one that comes up after its peer was replaced or removed is closed at once.
//
// # What strangers cost
//
// Up to the first authentic message a peer is a stranger. It gets a bounded number of requests a second, of half-open sessions
// for itself and in all, and past a threshold it must return a cookie first, which costs no memory, and has 5 s and not 30 to
// authenticate itself. An answer outside a session is never longer than its request. Addresses of configured peers have room that others cannot
// take, and the last places of every source are for those who return a cookie, because an address can be forged.
//
// # Considered and not taken
//
//   - One goroutine for each handshake, as crypto/tls has: it reads well while two ends take turns. In IKE either end
//     may begin an exchange at any time, and where two collide the goroutines would need locks around all they know.
//   - A task object for each exchange, as strongSwan has: the same cut, with more machinery than a file and a row of a
//     table need.
//   - A package for each exchange: all of them work on the same IKE SA, so they would import each other or share a
//     struct that is open to everybody.
//   - Closures as orders to a shard: they are for callers that wait for a result. A command is a value, which can also be
//     logged, compared and written into a transcript.
//   - A clock interface: testing/synctest gives time to the engine, and the sessions take it as an argument.
//   - One table for each shard and messages between them and the demultiplexer: the demultiplexer waits in a read and could
//     not be told of a claim in time.
//
// # Not done
//
// Suspend of the machine is not noticed: deadlines are on Go's monotonic clock, which stands still meanwhile. The number
// of faults that should end the whole process is left to whoever watches the counter.
//
// Start reading at engine.go, then demux.go and drive.go.
package ike
