package suite

import (
	"errors"
	"fmt"
	"io"

	"twinbore/ike/wire"
)

// A Group is one key exchange method (RFC 7296 §3.3.2, transform type 4; RFC 9370): a Diffie-Hellman group, or a key
// encapsulation mechanism (KEM), whose two sides differ. Groups are package variables and never change; two are the
// same when their pointers are.
//
//	initiator                               responder
//	pair = Generate
//	           pair.Public, PublicLen  ──►
//	                                   ◄──  public, shared = Respond, ResponseLen
//	pair.Shared                                               SharedLen on both sides
type Group struct {
	Name        string // "ecp384"
	ID          uint16 // IKEv2 transform ID, the number in the KE payload
	PublicLen   int    // octets of the initiator's value in the KE payload, exactly
	ResponseLen int    // octets of the responder's, exactly; it differs from PublicLen for some KEMs only
	SharedLen   int    // octets of the shared secret, exactly
	method      method

	// encapsulate is the responder's half of a KEM; nil: a Diffie-Hellman group, whose halves are equal.
	encapsulate func(peer []byte) (public, shared []byte, err error)
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

// ErrPublicValue is wrapped by every refusal of a peer's public value: it has the wrong length, lies outside the range
// or off the curve (RFC 6989 §2), or is no encapsulation key (FIPS 203 §7.2). The IKE SA must be dropped; a responder
// says INVALID_SYNTAX.
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
// never used twice (RFC 6989 §2.2, §4.1). The pair is an initiator's; a responder may use one too where the group is a
// Diffie-Hellman one, to put off the shared secret.
func (g *Group) Generate(rand io.Reader) (*KeyPair, error) {
	p, err := g.method.generate(rand)
	if err != nil {
		return nil, fmt.Errorf("key pair for %s: %w", g.Name, err)
	}
	return &KeyPair{group: g, public: p.public(), private: p}, nil
}

// Respond is the responder's half of one key exchange with any group: from the initiator's value it makes the value for
// the KE payload of the answer, ResponseLen octets, and the shared secret, SharedLen octets, which the caller clears
// when keys are made of it. rand is read as by Generate, except for a KEM: crypto/mlkem draws from the process's own
// source (testing/cryptotest sets that one). Errors wrap ErrPublicValue if the peer is to blame.
func (g *Group) Respond(rand io.Reader, peer []byte) (public, shared []byte, err error) {
	if err := g.checkLen(peer, g.PublicLen); err != nil {
		return nil, nil, err
	}
	if g.encapsulate != nil {
		if public, shared, err = g.encapsulate(peer); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", g.Name, err)
		}
		return public, shared, nil
	}
	pair, err := g.Generate(rand)
	if err != nil {
		return nil, nil, err
	}
	defer pair.Wipe()
	if shared, err = pair.Shared(peer); err != nil {
		return nil, nil, err
	}
	return pair.Public(), shared, nil
}

func (g *Group) checkLen(peer []byte, want int) error {
	if len(peer) != want {
		return fmt.Errorf("%s: %w: it has %d octets, not %d", g.Name, ErrPublicValue, len(peer), want)
	}
	return nil
}

// A KeyPair is the initiator's half of one key exchange. One goroutine at a time.
type KeyPair struct {
	group   *Group
	public  []byte
	private private // nil after Wipe
}

// Group is the group this pair belongs to.
func (k *KeyPair) Group() *Group { return k.group }

// Public is the value for the KE payload, PublicLen octets: a MODP number padded on the left (RFC 7296 §3.4), the
// coordinates x and y of an ECP point without a leading format octet (RFC 5903 §7), 32 octets for X25519 (RFC 8031), an
// encapsulation key for ML-KEM. The caller must not change it.
func (k *KeyPair) Public() []byte { return k.public }

// Shared returns g^ir for the peer's public value, ResponseLen octets; it has SharedLen octets: a MODP number padded on
// the left (RFC 7296 §2.14), the coordinate x of an ECP point (RFC 5903 §9), ML-KEM's secret as it is. Errors wrap
// ErrPublicValue; a KEM's ciphertext that was changed on its way is none, it gives another secret than the peer has. The
// caller clears the result when keys are made of it. After Wipe it is a bug to call it.
func (k *KeyPair) Shared(peer []byte) ([]byte, error) {
	if k.private == nil {
		panic("bug: a wiped key pair is used")
	}
	if err := k.group.checkLen(peer, k.group.ResponseLen); err != nil {
		return nil, err
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
