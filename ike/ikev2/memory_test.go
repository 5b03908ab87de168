//go:build !race

package ikev2

import (
	"testing"
	"time"

	"twinbore/esp/protect/memory"
	"twinbore/ike/session"
)

// CRY-13: once an IKE SA is rekeyed or deleted its secrets are nowhere in the memory of the process, in which both ends are.
func TestKeysLeaveTheProcess(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Rand, l.b.cfg.Rand = nil, nil // secrets that no other test has had
	l.initiate(l.a)
	l.settle()
	marks := func() []memory.Mark {
		k := l.a.sa().keys // b has the same
		return []memory.Mark{memory.Of(k.d), memory.Of(k.pi), memory.Of(k.pr)}
	}
	gone := func(when string, marks []memory.Mark) {
		t.Helper()
		for i, n := range memory.Holds(t, marks...) {
			if n > 0 {
				t.Errorf("after the %s %s is %d times in memory", when, []string{"SK_d", "SK_pi", "SK_pr"}[i], n)
			}
		}
	}
	first := marks()
	for i, n := range memory.Holds(t, first...) {
		if n < 2 {
			t.Fatalf("secret %d is %d times in memory while both ends use it", i, n)
		}
	}
	l.do(l.a, session.Rekey{IKE: true})
	l.settle()
	l.wait(2*time.Minute, l.settle)
	l.paired()
	gone("rekey", first)
	second := marks()
	l.do(l.a, session.Close{})
	l.settle()
	l.wait(time.Minute, l.settle)
	gone("delete", second)
}
