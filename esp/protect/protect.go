package protect

// An Algorithm is one negotiable protection: an AEAD, or a cipher with a separate integrity transform.
// Algorithms are package variables and never change; two are the same when their pointers are.
type Algorithm struct {
	Name   string // "aes256gcm16" or "aes256-sha256": the name in configuration, logs and exports
	KeyLen int    // octets of keying material per direction, salt or integrity key included
	IVLen  int    // octets of IV carried in the packet
	TagLen int    // octets of integrity check value
	Block  int    // plaintext length must be a multiple of this (1 for AEADs)
	AEAD   bool   // the IV is a counter that must never repeat under one key; otherwise it must be unpredictable

	// New makes a Protector from KeyLen octets. For an AEAD the salt is the tail of key (RFC 4106 §8.1,
	// RFC 7634 §2); for a cipher with integrity the encryption key comes first (RFC 4301 §4.5.2, RFC 7296 §2.17).
	// It copies what it needs; the caller may clear key afterwards.
	New func(key []byte) (Protector, error)
}

// A Protector seals and opens with one key. It is safe for concurrent use.
//
// iv has IVLen octets and goes on the wire by the caller's hand: neither method writes it.
// aad is covered by the tag and comes before the IV on the wire (ESP: SPI and sequence number; IKE: the header up
// to the IV). A separate integrity transform covers aad, iv, ciphertext and tail in that order; tail is
// used only for ESN (RFC 4303 §2.2.1), and AEADs ignore it (their aad holds the high half, RFC 4106 §5).
type Protector interface {
	// Seal appends ciphertext and tag to dst. len(plaintext) must be a multiple of Block. plaintext may lie
	// exactly at dst[len(dst):], which seals in place; any other overlap is a bug.
	Seal(dst, iv, plaintext, aad, tail []byte) []byte
	// Open appends the plaintext to dst, or returns ErrOpen and writes nothing a caller may use. dst may be
	// sealed[:0], which opens in place.
	Open(dst, iv, sealed, aad, tail []byte) ([]byte, error)
}
