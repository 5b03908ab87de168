package ikev2

import (
	"encoding/binary"
	"slices"

	"twinbore/esp/protect"
	"twinbore/ike/suite"
)

// keys are the secrets of one IKE SA (RFC 7296 §2.14) in the form they are used.
type keys struct {
	d      []byte // SK_d: Child SA keys and the next IKE SA come from it
	pi, pr []byte // SK_pi, SK_pr: bind the identities into AUTH (§2.15)

	alg          *protect.Algorithm
	fromI, fromR protect.Protector // open or seal what the original initiator, or responder, sends
	sealed       uint64            // messages sealed so far: the IV of an AEAD, which must never repeat
}

// firstSeed is SKEYSEED of an IKE SA made by IKE_SA_INIT (RFC 7296 §2.14).
func firstSeed(prf *suite.PRF, ni, nr, shared []byte) []byte {
	return prf.Sum(slices.Concat(ni, nr), shared)
}

// rekeySeed is SKEYSEED of an IKE SA made by CREATE_CHILD_SA: prf and skd are the old IKE SA's (RFC 7296 §2.18). others
// are the secrets of additional key exchanges (RFC 9370 §2.2.4).
func rekeySeed(prf *suite.PRF, skd, shared, ni, nr []byte, others ...[]byte) []byte {
	return prf.Sum(skd, append([][]byte{shared, ni, nr}, others...)...)
}

// deriveKeys draws all keys of an IKE SA from its seed (RFC 7296 §2.14) and wipes the seed.
func deriveKeys(s suite.Suite, seed, ni, nr []byte, spiI, spiR uint64) (*keys, error) {
	defer clear(seed)
	salt := slices.Concat(ni, nr)
	salt = binary.BigEndian.AppendUint64(salt, spiI)
	salt = binary.BigEndian.AppendUint64(salt, spiR)
	encr, integ, prf := s.EncrKeyLen(), s.IntegKeyLen(), s.PRF.KeyLen
	stream, err := s.PRF.Plus(seed, salt, 3*prf+2*integ+2*encr)
	if err != nil {
		return nil, err
	}
	defer clear(stream)
	rest := stream
	take := func(n int) []byte {
		part := slices.Clone(rest[:n])
		rest = rest[n:]
		return part
	}
	k := &keys{alg: s.Algorithm, d: take(prf)}
	ai, ar, ei, er := take(integ), take(integ), take(encr), take(encr)
	k.pi, k.pr = take(prf), take(prf)
	if k.fromI, err = newProtector(s.Algorithm, ei, ai); err != nil {
		return nil, err
	}
	if k.fromR, err = newProtector(s.Algorithm, er, ar); err != nil {
		return nil, err
	}
	return k, nil
}

// newProtector joins the two keys in the order that protect wants them, and wipes them.
func newProtector(alg *protect.Algorithm, encr, integ []byte) (protect.Protector, error) {
	key := slices.Concat(encr, integ)
	clear(encr)
	clear(integ)
	defer clear(key)
	return alg.New(key)
}

// childKeys draws the keys of a Child SA (RFC 7296 §2.17): for what the initiator of the exchange sends, then for
// what it receives. shared is empty without PFS; skd is the IKE SA's under which the exchange ran; others are the secrets of additional key exchanges (RFC 9370 §2.2.4).
func childKeys(prf *suite.PRF, skd, shared, ni, nr []byte, alg *protect.Algorithm, others ...[]byte) (fromI, fromR []byte, err error) {
	seed := slices.Concat(append([][]byte{shared, ni, nr}, others...)...)
	defer clear(seed)
	stream, err := prf.Plus(skd, seed, 2*alg.KeyLen)
	if err != nil {
		return nil, nil, err
	}
	return stream[:alg.KeyLen:alg.KeyLen], stream[alg.KeyLen:], nil
}

// wipe forgets the secrets as far as Go lets us (RFC 7296 §2.12).
func (k *keys) wipe() {
	if k == nil {
		return
	}
	clear(k.d)
	clear(k.pi)
	clear(k.pr)
	*k = keys{}
}
