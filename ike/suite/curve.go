package suite

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"
)

// curve is a group of crypto/ecdh. The NIST curves carry a format octet there that IKE does not send
// (RFC 5903 §7): point holds it. For X25519 there is none.
type curve struct {
	curve     ecdh.Curve
	scalarLen int
	topMask   byte   // of the scalar's first octet: P-521 uses one bit of it
	point     []byte // what stands before IKE's octets in crypto/ecdh's form
}

var (
	x25519 = &Group{Name: "curve25519", ID: 31, PublicLen: 32, ResponseLen: 32, SharedLen: 32,
		method: curve{curve: ecdh.X25519(), scalarLen: 32, topMask: 0xff}}
	ecp256 = &Group{Name: "ecp256", ID: 19, PublicLen: 64, ResponseLen: 64, SharedLen: 32,
		method: curve{curve: ecdh.P256(), scalarLen: 32, topMask: 0xff, point: []byte{4}}}
	ecp384 = &Group{Name: "ecp384", ID: 20, PublicLen: 96, ResponseLen: 96, SharedLen: 48,
		method: curve{curve: ecdh.P384(), scalarLen: 48, topMask: 0xff, point: []byte{4}}}
	ecp521 = &Group{Name: "ecp521", ID: 21, PublicLen: 132, ResponseLen: 132, SharedLen: 66,
		method: curve{curve: ecdh.P521(), scalarLen: 66, topMask: 0x01, point: []byte{4}}}
)

// scalarTries is how many scalars are drawn before the random source is called broken: a sound one is refused once
// in 2^32 draws at most.
const scalarTries = 8

// generate draws the scalar itself: ecdh.Curve.GenerateKey takes a reader and ignores it.
func (c curve) generate(rand io.Reader) (private, error) {
	scalar := make([]byte, c.scalarLen)
	defer clear(scalar)
	for range scalarTries {
		if _, err := io.ReadFull(rand, scalar); err != nil {
			return nil, err
		}
		scalar[0] &= c.topMask
		if key, err := c.curve.NewPrivateKey(scalar); err == nil {
			return &curveKey{curve: c, key: key}, nil
		}
	}
	return nil, errors.New("the random source gives no usable private value")
}

type curveKey struct {
	curve curve
	key   *ecdh.PrivateKey
}

func (k *curveKey) public() []byte {
	return k.key.PublicKey().Bytes()[len(k.curve.point):]
}

// shared relies on crypto/ecdh for RFC 6989 §2.3: NewPublicKey refuses coordinates out of range, points off the
// curve and infinity, and ECDH refuses the all-zero result of a point of small order (RFC 7748 §6.1).
func (k *curveKey) shared(peer []byte) ([]byte, error) {
	pub, err := k.curve.curve.NewPublicKey(append(k.curve.point[:len(k.curve.point):len(k.curve.point)], peer...))
	if err != nil {
		return nil, fmt.Errorf("%w: it is no point of the curve", ErrPublicValue)
	}
	secret, err := k.key.ECDH(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: it is a point of small order", ErrPublicValue)
	}
	return secret, nil
}

// wipe drops the only reference: crypto/ecdh has no way to clear a key.
func (k *curveKey) wipe() { k.key = nil }
