package ikev2

import (
	"time"

	"twinbore/ike/wire"
)

// A state is where an IKE SA is in its life; doc.go has the drawing.
type state uint8

const (
	initSent         state = iota // initiator: IKE_SA_INIT is open
	intermediateSent              // initiator: IKE_INTERMEDIATE is open
	authSent                      // initiator: IKE_AUTH is open
	halfOpen                      // responder: IKE_SA_INIT is answered, the peer is not authenticated
	established                   // both ends are authenticated
	replaced                      // the peer rekeyed this IKE SA and will delete it
	deleting                      // our Delete is open
	refused                       // we refused; kept only so that a repeated request gets the same answer
)

func (s state) String() string {
	return [...]string{"init sent", "intermediate sent", "auth sent", "half open", "established", "replaced", "deleting", "refused"}[s]
}

// states is a set of states.
type states uint16

func in(list ...state) (set states) {
	for _, s := range list {
		set |= 1 << s
	}
	return set
}

func (set states) has(s state) bool { return set&(1<<s) != 0 }

// A rule says when a message is welcome, what it must carry, and who handles it. The first row that fits counts; the
// rows of one exchange stand together, requests before answers, and among answers those with a notify first.
type rule struct {
	exchange wire.ExchangeType
	answers  op              // the message answers our request of this kind; opNone: it is a request
	in       states          // states of the IKE SA in which it makes sense
	with     wire.NotifyType // this notify must be there; 0: any or none
	need     payloads        // exactly one of each
	may      payloads        // allowed besides; other payloads are skipped, a doubled one is a syntax error
	do       func(*SA, time.Time, *message) error
	story    string
}

// rules is the state machine: every message that is ever welcome. It is a function because its handlers look into it.
func rules() []rule {
	const child = pSA | pNonce | pTSi | pTSr
	return []rule{
		// IKE_SA_INIT, RFC 7296 §1.2, §2.6, §1.3
		{exchange: wire.IKESAInit, in: in(halfOpen), need: pSA | pKE | pNonce, do: (*SA).answerInit, story: "answer a request for an IKE SA"},
		{exchange: wire.IKESAInit, answers: opInit, in: in(initSent), with: wire.NotifyCookie, do: (*SA).cookieAsked, story: "repeat the request with the responder's cookie"},
		{exchange: wire.IKESAInit, answers: opInit, in: in(initSent), with: wire.NotifyInvalidKEPayload, do: (*SA).groupAsked, story: "repeat the request with the group that the responder asks for"},
		{exchange: wire.IKESAInit, answers: opInit, in: in(initSent), need: pSA | pKE | pNonce, do: (*SA).initAnswered, story: "take the answer for an IKE SA"},
		{exchange: wire.IKESAInit, answers: opInit, in: in(initSent), do: (*SA).initRefused, story: "note an unprotected refusal and wait on"},

		// IKE_INTERMEDIATE, RFC 9242, RFC 9370 §2.2.2
		{exchange: wire.IKEIntermediate, in: in(halfOpen), need: pKE, do: (*SA).answerIntermediate, story: "answer one more key exchange"},
		{exchange: wire.IKEIntermediate, answers: opIntermediate, in: in(intermediateSent), need: pKE, do: (*SA).intermediateAnswered, story: "take one more key exchange"},
		{exchange: wire.IKEIntermediate, answers: opIntermediate, in: in(intermediateSent), do: (*SA).intermediateRefused, story: "the peer refuses one more key exchange"},

		// IKE_AUTH, RFC 7296 §1.2, §2.15, §2.21.2
		{exchange: wire.IKEAuth, in: in(halfOpen), need: pIDi | pAuth | pSA | pTSi | pTSr, may: pIDr, do: (*SA).answerAuth, story: "authenticate the peer and answer with our identity"},
		{exchange: wire.IKEAuth, in: in(halfOpen), need: pIDi | pAuth, may: pIDr, do: (*SA).answerAuth, story: "authenticate the peer, which wants no Child SA yet"},
		{exchange: wire.IKEAuth, answers: opAuth, in: in(authSent), need: pIDr | pAuth | pSA | pTSi | pTSr, do: (*SA).authAnswered, story: "authenticate the peer"},
		{exchange: wire.IKEAuth, answers: opAuth, in: in(authSent), need: pIDr | pAuth, do: (*SA).authAnswered, story: "authenticate the peer, which refuses the Child SA"},
		{exchange: wire.IKEAuth, answers: opAuth, in: in(authSent), do: (*SA).authRefused, story: "the peer refuses us"},

		// CREATE_CHILD_SA, RFC 7296 §1.3, §2.8, §2.17, §2.18
		{exchange: wire.CreateChildSA, in: in(established, replaced, deleting), with: wire.NotifyRekeySA, need: child, may: pKE, do: (*SA).answerRekeyChild, story: "answer a request to rekey a Child SA"},
		{exchange: wire.CreateChildSA, in: in(established, replaced, deleting), need: child, may: pKE, do: (*SA).answerNewChild, story: "answer a request for a new Child SA"},
		{exchange: wire.CreateChildSA, in: in(established, replaced, deleting), need: pSA | pNonce | pKE, do: (*SA).answerRekeyIKE, story: "answer a request to rekey the IKE SA"},
		{exchange: wire.CreateChildSA, answers: opRekeyChild, in: in(established), need: child, may: pKE, do: (*SA).childAnswered, story: "a Child SA is rekeyed"},
		{exchange: wire.CreateChildSA, answers: opNewChild, in: in(established), need: child, may: pKE, do: (*SA).childAnswered, story: "a new Child SA is made"},
		{exchange: wire.CreateChildSA, answers: opRekeyIKE, in: in(established, replaced), need: pSA | pNonce | pKE, do: (*SA).ikeRekeyed, story: "the IKE SA is rekeyed"},
		{exchange: wire.CreateChildSA, answers: opRekeyChild, in: in(established), do: (*SA).childRefused, story: "the peer refuses to rekey a Child SA"},
		{exchange: wire.CreateChildSA, answers: opNewChild, in: in(established), do: (*SA).childRefused, story: "the peer refuses a new Child SA"},
		{exchange: wire.CreateChildSA, answers: opRekeyIKE, in: in(established, replaced), do: (*SA).ikeRekeyRefused, story: "the peer refuses to rekey the IKE SA"},

		// IKE_FOLLOWUP_KE, RFC 9370 §2.2.4
		{exchange: wire.IKEFollowupKE, in: in(established, replaced, deleting), need: pKE, do: (*SA).answerFollowup, story: "answer one more key exchange of a new SA"},
		{exchange: wire.IKEFollowupKE, answers: opFollowup, in: in(established, replaced), need: pKE, do: (*SA).followupAnswered, story: "take one more key exchange of a new SA"},
		{exchange: wire.IKEFollowupKE, answers: opFollowup, in: in(established, replaced), do: (*SA).followupRefused, story: "the peer refuses one more key exchange of a new SA"},

		// INFORMATIONAL, RFC 7296 §1.4
		{exchange: wire.Informational, in: in(established, replaced, deleting), do: (*SA).answerInformational, story: "answer deletes, notifies or a liveness check"},
		{exchange: wire.Informational, answers: opLiveness, in: in(established, replaced), do: (*SA).alive, story: "the peer is alive"},
		{exchange: wire.Informational, answers: opUpdate, in: in(established, replaced), do: (*SA).updated, story: "the peer has heard our new address"},
		{exchange: wire.Informational, answers: opDeleteChild, in: in(established), do: (*SA).childrenDeleted, story: "the peer has deleted its half"},
		{exchange: wire.Informational, answers: opDeleteIKE, in: in(established, deleting), do: (*SA).ikeDeleted, story: "the peer has deleted the IKE SA"},
	}
}

// match finds the row for m. Without one, missing tells what is wrong with the payloads, or is empty when the message
// makes no sense in this state at all.
func (s *SA) match(m *message) (found rule, missing string, ok bool) {
	asked := opNone
	if m.Response() {
		asked = s.open.op
	}
	for _, r := range rules() {
		if r.exchange != m.Exchange || r.answers != asked || !r.in.has(s.state) || !s.agreed(r.exchange) {
			continue
		}
		missing = "a payload is missing"
		if (r.with != 0 && m.notify(r.with) == nil) || m.has&r.need != r.need {
			continue
		}
		if m.doubled&(r.need|r.may) != 0 {
			return rule{}, "a payload is there twice", false
		}
		return r, "", true
	}
	return rule{}, missing, false
}
