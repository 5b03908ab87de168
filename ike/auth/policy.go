package auth

import "twinbore/ike/wire"

// An RSAPadding is how we sign with an RSA key where the peer knows RFC 7427. Either is accepted of a peer.
type RSAPadding uint8

const (
	PaddingPSS   RSAPadding = iota // RSASSA-PSS, which RFC 8247 §3.2 demands; Libreswan takes nothing else
	PaddingPKCS1                   // RSASSA-PKCS1-v1_5, for peers that have not learnt PSS
)

// A Policy says which signatures are good enough for a peer. The zero Policy is the good one.
type Policy struct {
	RSA          RSAPadding
	InsecureSHA1 bool // AUTH method 1 with SHA-1, both ways, for RSA peers that do not know RFC 7427
}

// Weak says what is weak about a proof that was made or accepted; empty when nothing is. AUTH method 1 names no hash, and
// peers that know no other method know no other hash than SHA-1 for it (RFC 7296 §3.8).
func (p Policy) Weak(proof *wire.Auth) string {
	if p.InsecureSHA1 && proof.Method == wire.AuthRSA {
		return "an RSA signature without RFC 7427, which is one with SHA-1 most often; turn on signature authentication (RFC 7427) at the peer"
	}
	return ""
}
