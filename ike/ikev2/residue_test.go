package ikev2

import (
	"strings"
	"testing"
	"time"

	"twinbore/ike/session"
)

// CRY-13, N-55: the buffers of an IKE SA's secrets are zero once the SA is gone, by rekey and by delete. What registers and
// stacks held for a moment is not ours to promise.
func TestKeysAreForgottenWithTheirIKESA(t *testing.T) {
	l := connected(t)
	secrets := func() (all [][]byte) {
		for _, g := range []*gateway{l.a, l.b} {
			k := g.sa().keys
			all = append(all, k.d, k.pi, k.pr)
		}
		return all
	}
	forgotten := func(when string, all [][]byte) {
		for i, secret := range all {
			if strings.Trim(string(secret), "\x00") != "" {
				t.Errorf("after the %s secret %d of 6 is left", when, i)
			}
		}
	}
	first := secrets()
	l.do(l.a, session.Rekey{IKE: true})
	l.settle()
	l.wait(2*time.Minute, l.settle) // b keeps the replaced SA for a while, to answer
	l.paired()
	forgotten("rekey", first)
	second := secrets()
	l.do(l.a, session.Close{})
	l.settle()
	l.wait(time.Minute, l.settle)
	forgotten("delete", second)
}
