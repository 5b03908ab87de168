// Package auth knows who a peer claims to be and whether that is true.
//
//	"gw.example" ── ParseID ──► ID ◄── FromWire ── IDi, IDr of the peer
//	                            │ == decides, octet by octet
//	                            ▼
//	Credentials.PSKs(peer, now) ──► PSKAuth, VerifyPSK ◄── SignedOctets(message, nonce, SK_p, ID body)
//
// An ID is a value: comparable, at most 255 octets, printed so that a hostile one does no harm to a terminal or a log.
// Credentials hold the secrets of all peers; whoever loads them makes a new value when they change, and none of the
// functions here keeps or changes what it is given.
//
// Not done: certificates and signatures (RFC 7296 §2.15, RFC 7427), distinguished names, EAP, PPK (RFC 8784). Encodings
// of secrets (hex, base64, a newline at the end of a file) are the configuration's business: a Key here is the octets.
//
// Start reading at id.go, then psk.go.
package auth
