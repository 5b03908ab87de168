package ikev2

import (
	"errors"
	"fmt"
	"strings"

	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// A localError is our refusal: notify is what the peer is told, the rest is for our side.
type localError struct {
	notify wire.NotifyType
	data   []byte
	reason session.Reason
	hint   string
	fatal  bool // the IKE SA ends with it, whatever the exchange was for
	offers *session.Offers
}

func (e *localError) Error() string {
	return fmt.Sprintf("refused with %v: %s", e.notify, e.hint)
}

// A peerError is the peer's refusal of our request.
type peerError struct {
	notify wire.NotifyType
	data   []byte
	asked  *pair // the selectors that were refused; nil: those of the configuration
}

func (e *peerError) Error() string { return "peer answered " + e.notify.String() }

// reasonOf turns the end of an exchange into a stable code and a hint. about says what was asked for.
func (s *SA) reasonOf(err error, about op) (session.Reason, string) {
	if local, ok := errors.AsType[*localError](err); ok {
		return local.reason, local.hint
	}
	if peer, ok := errors.AsType[*peerError](err); ok {
		return peerReason(peer, about, &s.p.cfg)
	}
	return session.DatapathError, err.Error()
}

func peerReason(e *peerError, about op, cfg *Config) (session.Reason, string) {
	switch e.notify {
	case wire.NotifyNoProposalChosen:
		if about == opInit || about == opRekeyIKE {
			return session.NoProposalIKE, "the peer accepts none of our IKE proposals: we offered " + offered(cfg.IKE) + "; compare encryption, integrity, PRF and group on both ends"
		}
		return session.NoProposalESP, "the peer accepts none of our ESP proposals: we offered " + offered(cfg.ESP) + "; compare encryption, integrity, PFS group and ESN on both ends"
	case wire.NotifyInvalidKEPayload:
		return session.InvalidKELoop, "the peer asks for a group that we do not offer; add it to the proposal or change the peer's"
	case wire.NotifyAuthenticationFailed:
		return session.AuthFailed, "the peer rejected our pre-shared key or identity; compare the key and the IDs on both ends"
	case wire.NotifyTSUnacceptable, wire.NotifySinglePairRequired, wire.NotifyInvalidSelectors:
		asked := pair{cfg.Local, cfg.Remote}
		if e.asked != nil {
			asked = *e.asked
		}
		return session.TSUnacceptable, fmt.Sprintf("the peer refuses our traffic selectors: we offered %v === %v; compare local and remote networks on both ends", asked.local, asked.remote)
	case wire.NotifyTemporaryFailure:
		return otherRefusal(about), "the peer is busy with another exchange; we try again"
	case wire.NotifyNoAdditionalSAs:
		return otherRefusal(about), "the peer has no room for another Child SA, or makes none after the first; see its log"
	}
	return otherRefusal(about), "the peer answered " + e.notify.String() + "; its log says why"
}

// otherRefusal is the code for a refusal that says little by itself: what could not be agreed on. REKEY_FAILED is for what
// replaces something that still lives.
func otherRefusal(about op) session.Reason {
	switch about {
	case opInit:
		return session.NoProposalIKE
	case opIntermediate, opAuth:
		return session.AuthFailed
	case opNewChild:
		return session.NoProposalESP
	}
	return session.RekeyFailed
}

// offered names our proposals as the configuration writes them.
func offered(list []suite.Proposal) string {
	var names []string
	for _, p := range list {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// noProposal explains why nothing was chosen.
func noProposal(err error, ike bool) *localError {
	out := &localError{notify: wire.NotifyNoProposalChosen, reason: session.NoProposalESP, hint: err.Error()}
	if ike {
		out.reason = session.NoProposalIKE
	}
	if mismatch, ok := errors.AsType[*suite.Mismatch](err); ok {
		out.hint = mismatch.Error() + "; " + mismatch.Hint()
		out.offers = mismatched(mismatch)
	}
	return out
}

// unsupported names the payload that made us refuse a message (RFC 7296 §2.5).
func unsupported(critical *wire.CriticalError) *localError {
	return &localError{notify: wire.NotifyUnsupportedCriticalPayload, data: []byte{byte(critical.Type)},
		reason: session.AuthFailed, hint: "the peer marks a payload as critical that we do not know: " + critical.Type.String()}
}

// refusalLen is the longest refusal in clear, octets. What is shorter is not worth an answer (DOS-05).
const refusalLen = wire.HeaderLen + 10

// shortNonce refuses a nonce that has fewer octets than half the PRF's key (RFC 7296 §2.10).
func shortNonce(s suite.Suite) *localError {
	return invalidSyntax(fmt.Sprintf("a nonce is shorter than the %d octets that %s needs", s.PRF.MinNonce(), s.PRF.Name))
}

// badPublicValue refuses a public value that fails the tests of RFC 6989 §2. Its sender has a fault or means harm: the IKE SA
// ends with it (§2.5). An error that is not the peer's stays what it is.
func badPublicValue(err error) error {
	if !errors.Is(err, suite.ErrPublicValue) {
		return err
	}
	refused := invalidSyntax(err.Error())
	refused.fatal = true
	return refused
}

// fatal reports whether the IKE SA ends with err.
func fatal(err error) bool {
	local, ok := errors.AsType[*localError](err)
	return ok && local.fatal
}

func invalidSyntax(what string) *localError {
	return &localError{notify: wire.NotifyInvalidSyntax, reason: session.AuthFailed, hint: "the peer's message is malformed: " + what}
}
