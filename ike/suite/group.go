package suite

import (
	"errors"
	"fmt"
	"io"

	"twinbore/ike/wire"
)

// A Group is one key exchange method (RFC 7296 §3.3.2, transform type 4). Groups are package variables and never
// change; two are the same when their pointers are.
type Group struct {
	Name      string // "ecp384"
	ID        uint16 // IKEv2 transform ID, the number in the KE payload
	PublicLen int    // octets of a public value in the KE payload, exactly
	SharedLen int    // octets of the shared secret, exactly
	method    method
}

// method is the arithmetic of a group.
type method interface {
	generate(rand io.Reader) (private, error)
}

// private is the secret half of a fresh exchange.
type private interface {
	public() []byte
	shared(peer []byte) ([]byte, error) // peer has the right length already
	wipe()
}

// ErrPublicValue is wrapped by every refusal of a peer's public value: it has the wrong length or lies outside the
// range or off the curve (RFC 6989 §2). The IKE SA must be dropped.
var ErrPublicValue = errors.New("public value refused")

// GroupByID returns the group with this number, or nil if there is none here.
func GroupByID(id uint16) *Group {
	if r, ok := rowOf(wire.Transform{Type: wire.TransformKE, ID: id}); ok {
		return r.group
	}
	return nil
}

// Generate draws a fresh key pair. It reads from rand only, a fixed number of octets save for a chance that never
// comes with a sound source, so the same octets give the same pair. A pair serves one exchange: private values are
// never used twice (RFC 6989 §2.4).
func (g *Group) Generate(rand io.Reader) (*KeyPair, error) {
	p, err := g.method.generate(rand)
	if err != nil {
		return nil, fmt.Errorf("key pair for %s: %w", g.Name, err)
	}
	return &KeyPair{group: g, public: p.public(), private: p}, nil
}

// A KeyPair is our half of one key exchange. One goroutine at a time.
type KeyPair struct {
	group   *Group
	public  []byte
	private private // nil after Wipe
}

// Group is the group this pair belongs to.
func (k *KeyPair) Group() *Group { return k.group }

// Public is the value for the KE payload, PublicLen octets: a MODP number padded on the left (RFC 7296 §3.4), the
// coordinates x and y of an ECP point without a leading format octet (RFC 5903 §7), 32 octets for X25519 (RFC 8031). The
// caller must not change it.
func (k *KeyPair) Public() []byte { return k.public }

// Shared returns g^ir for the peer's public value, SharedLen octets: a MODP number padded on the left
// (RFC 7296 §2.14), the coordinate x of an ECP point (RFC 5903 §9). Errors wrap ErrPublicValue. The caller clears
// the result when keys are made of it. After Wipe it is a bug to call it.
func (k *KeyPair) Shared(peer []byte) ([]byte, error) {
	if k.private == nil {
		panic("bug: a wiped key pair is used")
	}
	if len(peer) != k.group.PublicLen {
		return nil, fmt.Errorf("%s: %w: it has %d octets, not %d", k.group.Name, ErrPublicValue, len(peer), k.group.PublicLen)
	}
	secret, err := k.private.shared(peer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.group.Name, err)
	}
	return secret, nil
}

// Wipe forgets the private value, as far as Go lets one. It may be called more than once.
func (k *KeyPair) Wipe() {
	if k.private != nil {
		k.private.wipe()
		k.private = nil
	}
}
