package ikev2

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// An ourselves is who we are to one peer, and what proves it.
type ourselves struct {
	id     auth.ID
	signer *auth.Signer // by certificate; nil: by secret
	secret auth.Secret
}

const noKey = "there is no pre-shared key for this tunnel now; check its psk setting"

// ourselves decides who we are to the peer at now. reqs and hashes are what it asks for and can verify.
func (p *peer) ourselves(now time.Time, path esp.Path, reqs []*wire.CertReq, hashes []auth.Hash) (ourselves, error) {
	c := p.cfg.Auth.Certified(p.cfg.Peer)
	if c == nil {
		secrets := p.cfg.Auth.PSKs(p.cfg.Peer, now)
		if len(secrets) == 0 {
			return ourselves{}, &localError{reason: session.SecretUnavailable, hint: noKey}
		}
		return ourselves{id: p.cfg.ownID(path), secret: secrets[min(p.olderKey, len(secrets)-1)]}, nil
	}
	if len(c.Signers) == 0 {
		return ourselves{}, &localError{reason: session.SecretUnavailable,
			hint: "our certificate or its key could not be loaded; twinbore check says why"}
	}
	signer, err := c.Signer(now, reqs, hashes)
	if err != nil {
		refused := certified(err)
		if len(hashes) == 0 { // the other thing that an answer without SIGNATURE_HASH_ALGORITHMS may mean
			refused.hint += "; or it expects a pre-shared key"
		}
		return ourselves{}, refused
	}
	id, err := signer.Identity(p.cfg.LocalID)
	if err != nil {
		return ourselves{}, certified(err)
	}
	return ourselves{id: id, signer: signer}, nil
}

// certificates are the CERT payloads that go before AUTH.
func (w ourselves) certificates() (list []wire.Payload) {
	if w.signer != nil {
		for _, c := range w.signer.Payloads() {
			list = append(list, c)
		}
	}
	return list
}

// prove makes our AUTH over octets.
func (s *SA) prove(w ourselves, octets []byte) (*wire.Auth, error) {
	if w.signer == nil {
		return &wire.Auth{Method: wire.AuthSharedKey, Data: auth.PSKAuth(s.suite.PRF, w.secret.Key, octets)}, nil
	}
	policy := s.p.cfg.Auth.Certified(s.p.cfg.Peer).Policy
	proof, err := w.signer.Sign(s.p.source(), octets, s.handshake.hashes, policy)
	if err != nil {
		return nil, certified(err)
	}
	s.handshake.weak = cmp.Or(s.handshake.weak, policy.Weak(proof))
	return proof, nil
}

// believe verifies the proof in m that the peer is claimed, with what cfg has. octets are what the proof covers.
func (s *SA) believe(now time.Time, cfg *Config, claimed auth.ID, m *message, octets []byte) *localError {
	c, byKey := cfg.Auth.Certified(cfg.Peer), m.auth.Method == wire.AuthSharedKey
	switch {
	case c == nil:
		return s.believeKey(cfg, claimed, cfg.Auth.PSKs(cfg.Peer, now), m, octets)
	case byKey:
		return &localError{reason: session.AuthFailed, offers: s.explainProof(cfg, claimed, m, nil, nil),
			hint: "the peer authenticates by a pre-shared key, we expect its certificate; set the peer to certificates"}
	case c.Trust == nil:
		return &localError{reason: session.SecretUnavailable,
			hint: "the certificates of the authorities that we trust could not be loaded; twinbore check says why"}
	}
	if err := c.Verify(now, claimed, m.certs, m.auth, octets, s.handshake.announced); err != nil {
		refused := certified(err)
		refused.offers = s.explainProof(cfg, claimed, m, nil, err)
		return refused
	}
	s.handshake.weak = cmp.Or(s.handshake.weak, c.Policy.Weak(m.auth))
	return nil
}

// believeKey tries each accepted key, and notes which one the peer has.
func (s *SA) believeKey(cfg *Config, claimed auth.ID, secrets []auth.Secret, m *message, octets []byte) *localError {
	var good *auth.Secret
	for i := range secrets {
		if auth.VerifyPSK(s.suite.PRF, secrets[i].Key, octets, m.auth.Data) && good == nil {
			good = &secrets[i]
		}
	}
	switch {
	case len(secrets) == 0:
		return &localError{reason: session.SecretUnavailable, hint: noKey}
	case m.auth.Method != wire.AuthSharedKey:
		return &localError{reason: session.AuthFailed, offers: s.explainProof(cfg, claimed, m, nil, nil),
			hint: fmt.Sprintf("the peer authenticates by method %d, we expect a pre-shared key; set the peer to pre-shared key", m.auth.Method)}
	case good == nil:
		return &localError{reason: session.AuthFailed, offers: s.explainProof(cfg, claimed, m, secrets, nil),
			hint: "the peer's pre-shared key differs from ours; compare the keys on both ends"}
	}
	s.handshake.secret, s.secret = *good, good.Name
	return nil
}

// decoy is verified against when the identity is unknown, so that the answer takes as long.
var decoy = func() []byte { b := make([]byte, 32); rand.Read(b); return b }()

// disbelieve does the work of believe for an identity that nobody has: the time it takes tells as little as the answer
// (AUT-01).
func (s *SA) disbelieve(now time.Time, claimed auth.ID, m *message, octets []byte) {
	if m.auth.Method == wire.AuthSharedKey {
		auth.VerifyPSK(s.suite.PRF, decoy, octets, m.auth.Data)
		return
	}
	for i := range s.p.candidates {
		if cfg := &s.p.candidates[i]; cfg.Auth.Certified(cfg.Peer) != nil {
			s.believe(now, cfg, claimed, m, octets)
			return
		}
	}
}

// certified gives an error of ike/auth its reason; its text is the hint, for us alone.
func certified(err error) *localError {
	reason := session.SecretUnavailable // ErrNoSigner, and a key that does not sign
	switch {
	case errors.Is(err, auth.ErrIdentity):
		reason = session.IDMismatch
	case errors.Is(err, auth.ErrCertificate), errors.Is(err, auth.ErrSignature):
		reason = session.AuthFailed
	}
	return &localError{reason: reason, hint: err.Error()}
}
