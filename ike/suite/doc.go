// Package suite knows what each algorithm name means, in configuration and on the wire, how proposals are written and
// matched, and why they do not match.
//
// One row of a table is one algorithm: its name as strongSwan writes it, its number in IKEv2, whether it is weak,
// and what computes it. Everything else follows from the rows:
//
//	"aes256gcm16-prfsha384-ecp384-ke1_mlkem768"    the peer's SA payload
//	            │ ParseIKE, ParseESP                        │ wire
//	            ▼                                           ▼
//	       []Proposal ──── Offer ──► our SA payload      Select ──► Selection ──► the answer
//	            │                          │                │          │
//	            └── Accept ◄── the answer ◄┘                │          └─► Suite ─► protect.Algorithm, PRF, Group
//	                                                        └─► *Mismatch: what differs, and what to change
//
// One proposal can agree on up to eight key exchanges (RFC 9370): the first, and ke1 to ke7 after it, of which any may be
// "none". They share the methods, and no method serves twice in what is agreed: additional.go chooses for all together.
// ML-KEM is a method whose two halves differ, so a Group has one function for each: Generate and KeyPair.Shared for the
// initiator, Respond for the responder of any exchange.
//
// Rows, PRFs, groups and the Algorithms of esp/protect are constants in all but name; a Proposal and a Suite never
// change once made. All of it may be shared between goroutines, except a KeyPair, which belongs to one exchange.
//
// A weak algorithm is in the table because peers exist that have nothing better. It is offered and accepted only where
// a proposal spells it out, and Weak says so to whoever must allow or show it. What the RFCs forbid (DES, MD5, groups
// 1 and 22 to 24, NULL) is not here at all; foreign.go knows their names, to refuse them by name.
//
// Not done here: numbers of IKEv1; key schedules, those of several key exchanges included, which belong to the protocol
// versions; ML-KEM-512, which crypto/mlkem does not have; ML-KEM in IKE_SA_INIT, whose message could not be fragmented.
//
// Start reading at table.go, then proposal.go, select.go and match.go; for key exchanges at group.go.
package suite
