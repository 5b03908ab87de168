package ikev2

import (
	"twinbore/ike/wire"
)

// An initiator may authenticate without asking for a Child SA, and make the first one by CREATE_CHILD_SA, with a key
// exchange of its own (RFC 6023). We answer that; our own requests always ask for a Child SA.

// announceChildless says so in the answer of IKE_SA_INIT (RFC 6023 §3), unless that would make it longer than the
// request, whose sender may be anybody (DOS-05). An initiator that wants this has other things to announce than we do.
func (s *SA) announceChildless(m *message, list []wire.Payload) []wire.Payload {
	longer := append(list[:len(list):len(list)], &wire.Notify{Kind: wire.NotifyChildlessIKEv2Supported})
	if len((&wire.Message{Payloads: longer}).Marshal()) > len(m.raw) {
		return list
	}
	return longer
}

// childless reports whether an IKE_AUTH request asks for no Child SA. One that has part of what asks for it is malformed.
func childless(m *message) (bool, error) {
	switch m.has & (pSA | pTSi | pTSr) {
	case 0:
		return true, nil
	case pSA | pTSi | pTSr:
		return false, nil
	}
	return false, invalidSyntax("a payload is missing")
}
