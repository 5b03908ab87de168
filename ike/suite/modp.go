package suite

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/bigmod"
)

// modp is a group of integers modulo a safe prime p with the generator 2 (RFC 2409 §6, RFC 3526). The exponents are
// short, which these groups allow (RFC 3526 §8 and RFC 7919 §5.2): twice the group's strength, by the higher of the
// two estimates of RFC 3526 §8, in whole octets and never below 256 bits.
//
//	group      strength (bits)   exponent in RFC 3526 §8   here
//	modp1024   below 120         -                         256
//	modp1536   120               240                       256
//	modp2048   160               320                       320
//	modp3072   210               420                       424
//	modp4096   240               480                       480
//
// All arithmetic with the exponent takes a time that depends on its length only.
type modp struct {
	p           *bigmod.Modulus
	exponentLen int // octets
}

var (
	insecureMODP1024 = newMODP("modp1024", 2, prime1024, 256)
	insecureMODP1536 = newMODP("modp1536", 5, prime1536, 256)
	modp2048         = newMODP("modp2048", 14, prime2048, 320)
	modp3072         = newMODP("modp3072", 15, prime3072, 424)
	modp4096         = newMODP("modp4096", 16, prime4096, 480)
)

func newMODP(name string, id uint16, prime string, exponentBits int) *Group {
	octets, err := hex.DecodeString(prime)
	if err != nil {
		panic("bug: " + name + ": " + err.Error())
	}
	p, err := bigmod.NewModulus(octets)
	if err != nil {
		panic("bug: " + name + ": " + err.Error())
	}
	return &Group{Name: name, ID: id, PublicLen: p.Size(), ResponseLen: p.Size(), SharedLen: p.Size(),
		method: modp{p: p, exponentLen: exponentBits / 8}}
}

func (m modp) generate(rand io.Reader) (private, error) {
	x := make([]byte, m.exponentLen)
	if _, err := io.ReadFull(rand, x); err != nil {
		return nil, err
	}
	two, err := bigmod.NewNat().SetBytes([]byte{2}, m.p)
	if err != nil {
		return nil, err
	}
	y := bigmod.NewNat().Exp(two, x, m.p)
	if y.IsOne() == 1 { // x is 0: our own value must pass the peer's check as well
		return nil, errors.New("the random source gives zeros")
	}
	return &modpKey{modp: m, x: x, y: y.Bytes(m.p)}, nil
}

type modpKey struct {
	modp modp
	x    []byte
	y    []byte
}

func (k *modpKey) public() []byte { return k.y }

// shared checks 1 < peer < p-1 (RFC 6989 §2.1), which is enough for a safe prime: what is left has order q or 2q.
func (k *modpKey) shared(peer []byte) ([]byte, error) {
	y, err := bigmod.NewNat().SetBytes(peer, k.modp.p)
	if err != nil || y.IsZero()|y.IsOne()|y.IsMinusOne(k.modp.p) == 1 {
		return nil, fmt.Errorf("%w: it is outside 2 to p-2", ErrPublicValue)
	}
	return bigmod.NewNat().Exp(y, k.x, k.modp.p).Bytes(k.modp.p), nil
}

func (k *modpKey) wipe() { clear(k.x) }
