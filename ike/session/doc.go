// Package session is the contract between a version of IKE and the engine that runs it. A Session takes a time and a
// message, a command or nothing, and returns an Output: what must happen now, in which order.
//
//	engine ── Receive · Do · Expire ──► Session (ike/ikev2)
//	       ◄── Output: data path · SPIs · datagrams · events · next deadline
//
// A Session belongs to one goroutine of the engine. An Output belongs to who receives it. Commands and events are values,
// so that they can be written into transcripts; neither holds a secret.
//
// Backoff is here because a retransmission schedule is arithmetic that every version shares.
//
// Not done: an Output cannot ask for slow work outside (a hardware key, OCSP); it would gain a field, and Command a value.
//
// Start reading at session.go.
package session
