package ikev2

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// A PPK is a post-quantum pre-shared key (RFC 8784): a secret that is mixed into the keys, so that whoever records a
// handshake now and breaks its key exchange later still lacks something. The zero PPK is none.
type PPK struct {
	ID       string // as the peer knows it; sent as PPK_ID_FIXED, taken as PPK_ID_OPAQUE too
	Key      []byte // 32 random octets or more: half of its bits count against a quantum computer (RFC 8784 §6)
	Required bool   // refuse a peer that does not use it; otherwise go on without it
}

func (p PPK) usable() bool { return len(p.Key) > 0 }

// The types of a PPK_ID (RFC 8784 §5.1). What stands in an opaque one is each vendor's affair; of ours it is the name.
const (
	ppkIDOpaque = 1
	ppkIDFixed  = 2
)

// wireID is the content of PPK_IDENTITY.
func (p PPK) wireID() []byte { return append([]byte{ppkIDFixed}, p.ID...) }

// named reports whether the peer asks for this key, by a name of either type. The name is no secret, but it costs nothing to
// hide how it differs.
func (p PPK) named(n *wire.Notify) bool {
	if n == nil || len(n.Data) == 0 || !p.usable() {
		return false
	}
	kind, name := n.Data[0], n.Data[1:]
	return (kind == ppkIDFixed || kind == ppkIDOpaque) && subtle.ConstantTimeCompare(name, []byte(p.ID)) == 1
}

// announcesPPK reports whether USE_PPK is said in IKE_SA_INIT: somebody that the peer may turn out to be has a key.
func announcesPPK(cfgs ...Config) bool {
	return slices.ContainsFunc(cfgs, func(c Config) bool { return c.PPK.usable() })
}

func usesPPK() wire.Payload { return &wire.Notify{Kind: wire.NotifyUsePPK} }

// A bare is what of the keys a PPK is mixed into, before it is: SK_d', SK_pi', SK_pr' (RFC 8784 §3).
type bare struct{ d, pi, pr []byte }

// mix mixes a PPK into the keys and returns what they were.
func (k *keys) mix(prf *suite.PRF, ppk []byte) (*bare, error) {
	was := &bare{k.d, k.pi, k.pr}
	for _, key := range []*[]byte{&k.d, &k.pi, &k.pr} {
		mixed, err := prf.Plus(ppk, *key, prf.KeyLen)
		if err != nil {
			return nil, err
		}
		*key = mixed
	}
	return was, nil
}

// unmix goes back to the keys without the PPK.
func (k *keys) unmix(b *bare) {
	clear(k.d)
	clear(k.pi)
	clear(k.pr)
	k.d, k.pi, k.pr = b.d, b.pi, b.pr
}

// wipe forgets the keys without the PPK: those with it are in use.
func (b *bare) wipe() {
	if b != nil {
		clear(b.d)
		clear(b.pi)
		clear(b.pr)
	}
}

// ppkMissing refuses a peer that does not use the PPK that we require (K-02).
func ppkMissing(cfg *Config) *localError {
	if !cfg.PPK.usable() {
		return &localError{notify: wire.NotifyAuthenticationFailed, fatal: true, reason: session.SecretUnavailable,
			hint: fmt.Sprintf("ppk %q is required and not there now; check ppk.secret", cfg.PPK.ID)}
	}
	return &localError{notify: wire.NotifyAuthenticationFailed, fatal: true, reason: session.AuthFailed,
		hint: fmt.Sprintf("the peer does not use ppk %q, which is required; configure it at the peer by this name, or set ppk.required: false", cfg.PPK.ID)}
}

// offerPPK begins to use the PPK as initiator, when both ends have said that they can. It returns what IKE_AUTH says of
// it: the name, and unless we insist the proof that we would send without the key, made by proofWithout (K-04).
func (s *SA) offerPPK(proofWithout func() (*wire.Auth, error)) ([]wire.Payload, error) {
	ppk := s.p.cfg.PPK
	if !s.handshake.ppk {
		return nil, nil
	}
	list := []wire.Payload{&wire.Notify{Kind: wire.NotifyPPKIdentity, Data: ppk.wireID()}}
	if !ppk.Required {
		proof, err := proofWithout()
		if err != nil {
			return nil, err
		}
		list = append(list, &wire.Notify{Kind: wire.NotifyNoPPKAuth, Data: proof.Data})
	}
	was, err := s.keys.mix(s.suite.PRF, ppk.Key)
	s.handshake.bare = was
	return list, err
}

// ppkAnswered decides as initiator by the responder's IKE_AUTH whether the PPK is in the keys (RFC 8784 §3).
func (s *SA) ppkAnswered(m *message) error {
	h := s.handshake
	switch {
	case h.bare == nil || m.notify(wire.NotifyPPKIdentity) != nil:
		return nil
	case s.p.cfg.PPK.Required:
		return ppkMissing(&s.p.cfg)
	}
	s.keys.unmix(h.bare)
	h.bare = nil
	return nil
}

// choosePPK is the responder's decision (RFC 8784 §3, the table of its end): with the PPK that the peer names if it is
// ours, else without, by the proof that came for that case, if both ends allow it. It returns the proof to verify, and
// leaves the keys as that proof wants them.
func (s *SA) choosePPK(cfg *Config, m *message) (proof *wire.Auth, refused *localError) {
	asked := m.notify(wire.NotifyPPKIdentity)
	without := m.notify(wire.NotifyNoPPKAuth)
	switch {
	case s.handshake.ppk && cfg.PPK.named(asked):
		was, err := s.keys.mix(s.suite.PRF, cfg.PPK.Key)
		if err != nil {
			return m.auth, &localError{reason: session.DatapathError, hint: err.Error()}
		}
		s.handshake.bare = was
	case cfg.PPK.Required:
		return m.auth, ppkMissing(cfg)
	case s.handshake.ppk && asked != nil && without == nil:
		return m.auth, &localError{notify: wire.NotifyAuthenticationFailed, fatal: true, reason: session.AuthFailed,
			hint: "the peer insists on a ppk that is not ours; compare ppk.id on both ends"}
	case s.handshake.ppk && asked != nil:
		return &wire.Auth{Method: m.auth.Method, Data: without.Data}, nil
	}
	return m.auth, nil
}

// ppkTaken tells the initiator that its PPK is in use (RFC 8784 §3).
func (s *SA) ppkTaken() []wire.Payload {
	if s.handshake.bare == nil {
		return nil
	}
	return []wire.Payload{&wire.Notify{Kind: wire.NotifyPPKIdentity}}
}

// requirePPK ends a handshake at its start that can only fail: the key is required and not there.
func (s *SA) requirePPK(now time.Time) bool {
	cfg := &s.p.cfg
	if cfg.PPK.Required && !cfg.PPK.usable() {
		refused := ppkMissing(cfg)
		s.end(now, refused.reason, refused.hint)
		return false
	}
	return true
}

// ppkHint adds to a hint on a proof that failed that the PPK is part of it.
func (s *SA) ppkHint() string {
	if s.handshake.bare == nil {
		return ""
	}
	return fmt.Sprintf("; or ppk %q differs: compare its id and secret on both ends", s.p.cfg.PPK.ID)
}
