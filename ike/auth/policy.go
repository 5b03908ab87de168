package auth

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
