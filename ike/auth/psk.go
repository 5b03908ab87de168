package auth

import (
	"crypto/hmac"

	"twinbore/ike/suite"
)

// keyPad is mixed into a pre-shared key, so that a dictionary attack on it is good for IKEv2 only
// (RFC 7296 §2.15). No terminator.
const keyPad = "Key Pad for IKEv2"

// SignedOctets is what an AUTH payload covers (RFC 7296 §2.15): the sender's own first message as it went over the
// wire, from the header to its end; the other end's nonce, without payload header; and prf(SK_p, idBody), SK_pi and
// IDi of the initiator, SK_pr and IDr of the responder. idBody is wire.ID.Body.
func SignedOctets(prf *suite.PRF, message, nonce, skp, idBody []byte) []byte {
	mac := prf.Sum(skp, idBody)
	octets := make([]byte, 0, len(message)+len(nonce)+len(mac))
	octets = append(octets, message...)
	octets = append(octets, nonce...)
	return append(octets, mac...)
}

// PSKAuth is the content of an AUTH payload with a pre-shared key: prf(prf(psk, "Key Pad for IKEv2"), signedOctets),
// RFC 7296 §2.15. psk is taken octet by octet, with no terminator added and none removed; prf.OutLen octets come out.
func PSKAuth(prf *suite.PRF, psk, signedOctets []byte) []byte {
	key := prf.Sum(psk, []byte(keyPad))
	defer clear(key)
	return prf.Sum(key, signedOctets)
}

// VerifyPSK tells whether got is the AUTH of a peer that has psk. The comparison takes the same time wherever the two
// differ. An empty psk verifies nothing: everybody has it.
func VerifyPSK(prf *suite.PRF, psk, signedOctets, got []byte) bool {
	return hmac.Equal(PSKAuth(prf, psk, signedOctets), got) && len(psk) > 0
}
