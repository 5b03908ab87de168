// Package auth knows who a peer claims to be and whether that is true.
//
//	"gw.example" ── ParseID ──► ID ◄── FromWire ── IDi, IDr of the peer
//	                            │ Equal decides
//	                            ▼
//	            Credentials.Certified(peer) == nil ?
//	     yes, pre-shared keys │             │ no, certificates
//	                          ▼             ▼
//	     PSKs(peer, now) ► PSKAuth,     CertifiedPeer ┬─ Signer ► Identity, Payloads, Sign       what we say
//	                       VerifyPSK                  └─ Verify ► VerifyChain, VerifySignature   what we believe
//
// Both sides of the drawing work on SignedOctets(message, nonce, SK_p, ID body), RFC 7296 §2.15.
//
// An ID is a value: at most 255 octets, 1024 of a distinguished name, printed so that a hostile one does no harm to a
// terminal or a log. Credentials hold the secrets of all peers; whoever loads them makes a new value when they change, and
// none of the functions here keeps or changes what it is given, unless it says so. There is no state, no clock and no
// input or output: certificates, keys and lists come as octets, and nothing in a certificate makes us fetch anything.
//
// # An exchange with certificates
//
// p is Credentials.Certified(peer), h what IKE_SA_INIT left. The order matters: nothing of ours is shown before what can be
// checked of the peer has been (AUT-11), and the identity is compared before its certificate is read (AUT-02).
//
//	both, IKE_SA_INIT       send HashesNotify(h.announced), h.announced = Hashes(), if any candidate is a CertifiedPeer;
//	                        h.hashes = ParseHashes(notify of the peer), none if there is no notify
//	responder, IKE_SA_INIT  add CertReq(Trust of each candidate)
//
//	initiator, IKE_AUTH     signer := p.Signer(now, CERTREQs of the responder, h.hashes)
//	                        id := signer.Identity(cfg.LocalID); IDi = id.Wire(true)
//	                        send IDi, signer.Payloads(), CertReq(p.Trust), [IDr],
//	                             signer.Sign(rand, SignedOctets(…, IDi.Body()), h.hashes, p.Policy), the rest
//
//	responder, IKE_AUTH     claimed := FromWire(IDi); the candidate is that with RemoteID.Equal(claimed)
//	                        p.Verify(now, claimed, CERTs, AUTH, SignedOctets(…, IDi.Body()), h.announced)
//	                        then as the initiator: p.Signer(now, CERTREQs of this message, h.hashes), Identity,
//	                        send IDr, signer.Payloads(), signer.Sign(…), the rest
//
//	initiator, the answer   claimed := FromWire(IDr), cfg.RemoteID.Equal(claimed), p.Verify(… CERTs, AUTH …)
//
// errors.Is tells what went wrong: ErrIdentity is an ID_MISMATCH, ErrCertificate and ErrSignature are an AUTH_FAILED,
// ErrNoSigner is a SECRET_UNAVAILABLE; the text is the hint. To the peer all are AUTHENTICATION_FAILED.
//
// SHA-1 and MD5 are refused everywhere. The one exception is AUTH method 1 with a peer whose Policy says InsecureSHA1: RFC
// 7296 §3.8 gives RSA without RFC 7427 no other hash that both ends know of. As a verifier we take SHA-2 in method 1, which
// that section leaves open.
//
// Not done: EAP, PPK (RFC 8784), raw public keys (RFC 7670), hash and URL, OCSP, certificate policies beyond what
// crypto/x509 enforces, name constraints on directory names (a chain with them is refused), CRLs that are partial or indirect
// (refused when loaded), DSA, Ed448. Files and encodings of secrets (hex, base64, a newline at the end of a file) are the
// configuration's business: a Key here is the octets.
//
// Start reading at id.go, then psk.go; for certificates at certified.go, then chain.go, verify.go and sign.go.
package auth
