// Package wire turns bytes into IKE messages and back (RFC 7296 §3, RFC 7383 §2.5). It knows the format and no meaning:
// which payloads an exchange needs, which algorithm a number is, and what to answer are for the packages above.
//
//	datagram ─► ParseHeader ─► Header: versions, SPIs, exchange, message ID
//	               │
//	   in clear    ├─► ParseMessage ─► ParsePayloads ─► []Payload     (IKE_SA_INIT)
//	               │                        ▲
//	   encrypted   └─► FindEnvelope ─► Cut ─┼─► opened by the caller ─► UnpadSK ─► ParsePayloads
//	                   SK or SKF            │
//	                                        walk: generic headers, limits ─► decode: one file per payload
//
//	┌─ header 28 ─┬─ payload ────────────────┬─ payload ────────────────┬ … ┐
//	│ next: SA    │ next: KE │ length │ body │ next: No │ length │ body │   │      message.go, chain.go
//	└─────────────┴──────────────────────────┴──────────────────────────┴───┘
//
//	[]Payload ─► Message.Marshal                                                  in clear
//	[]Payload ─► AppendPayloads ─► PadSK ─► BeginSK, IV, sealed by the caller     encrypted
//
// Rules that hold everywhere:
//
//   - Whole or not at all: a message with one malformed payload gives an *Error and nothing else. No input panics.
//   - One cursor (cursor.go) does all arithmetic with lengths from the network. Counts and sizes are checked before
//     anything is stored: MaxMessage, MaxPayloads, MaxProposals, MaxTransforms, MaxDeleteSPIs, MaxNonce. Time is linear
//     in the length of the message, memory a small multiple of it.
//   - Results are copies. Only Envelope.Body, and what Cut and UnpadSK return, are part of the input.
//   - Reserved fields are sent as 0 and ignored on receipt. The ID payload keeps its own, because AUTH covers them.
//   - What parses can be written again and then parses to the same, but for selectors of unknown types, which are
//     counted and left out.
//   - Unlike the network, a caller is trusted: to build what the format cannot hold (a payload over 65535 octets, 300
//     selectors) is a bug and panics.
//
// Nothing here has state; all functions are safe for concurrent use, and values belong to whoever has them.
//
// Not done: the bodies of CP and EAP (they come back as Unknown), judging versions and exchange types, counting doubled
// payloads (ike/ikev2's rules), judging transforms (ike/suite) and identities (ike/auth), collecting fragments.
//
// Start with chain.go, then sa.go for the most intricate body and ke.go for a plain one. Numbers and their names are in
// numbers.go and notify.go.
package wire
