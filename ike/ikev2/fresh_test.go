package ikev2

import (
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// D-05, N-08 (RFC 6989 §4.1, RFC 7296 §2.10): in a life of many rekeys, collisions and repetitions no nonce and no public value
// is used for two exchanges, by either end, and nonces have 16 to 256 octets and at least half of the PRF's key.
func TestNothingIsUsedTwice(t *testing.T) {
	const ike = "aes256gcm16-prfsha512-curve25519"
	l := newLab(t)
	for _, g := range []*gateway{l.a, l.b} {
		g.cfg.IKE, g.cfg.ESP = ikeProposals(t, ike), espProposals(t, "aes128gcm16-curve25519-noesn")
	}
	const minNonce = 32           // half of prfsha512's key
	usedBy := map[string]string{} // by the octets: the message
	count := 0
	settle := func() {
		l.overhear(func(g *gateway, _ wire.Header, sent []byte) {
			msg := string(sent)
			for _, p := range l.peek(g) {
				octets := ""
				switch p := p.(type) {
				case *wire.Nonce:
					octets = string(p.Data)
					if len(octets) < minNonce || len(octets) > 256 {
						t.Errorf("%s sends a nonce of %d octets", g.name, len(octets))
					}
				case *wire.KE:
					octets = string(p.Data)
				default:
					continue
				}
				if before, used := usedBy[octets]; used && before != msg {
					t.Fatalf("%s sends %v %x in two messages", g.name, p.Type(), octets)
				}
				usedBy[octets] = msg
				count++
			}
		})
	}
	for _, step := range story(l) {
		step()
		settle()
	}
	for i := range 10 {
		l.do(l.a, session.Rekey{IKE: i%2 == 0})
		l.do(l.b, session.Rekey{IKE: i%3 == 0})
		settle()
		l.wait(fade, settle)
	}
	if count < 60 || len(usedBy) < 60 {
		t.Errorf("only %d nonces and public values", count)
	}
	l.paired()
}
