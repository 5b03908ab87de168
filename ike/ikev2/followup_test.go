package ikev2

import (
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

const moreESP = "aes128gcm16-curve25519-ke1_ecp256-noesn"

// begun is a pair in which a's IKE_FOLLOWUP_KE for a rekeyed Child SA waits to be delivered.
func begun(t *testing.T) *lab {
	l := newLab(t)
	l.a.cfg.ESP, l.b.cfg.ESP = espProposals(t, moreESP), espProposals(t, moreESP)
	l.initiate(l.a)
	l.settle()
	l.do(l.a, session.Rekey{})
	l.deliver(l.a)
	l.deliver(l.b)
	return l
}

// H-04, H-05, RFC 9370 §2.2.4: an IKE_FOLLOWUP_KE that does not fit what was begun is refused, the SA it was for is not
// made, and both ends go on with the one they have.
func TestFollowupRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]wire.Payload) []wire.Payload
		want   wire.NotifyType
	}{
		"no link":      {func(list []wire.Payload) []wire.Payload { return list[:1] }, wire.NotifyStateNotFound},
		"another link": {func(list []wire.Payload) []wire.Payload { find[*wire.Notify](list).Data[0] ^= 1; return list }, wire.NotifyStateNotFound},
		"an empty link": {func(list []wire.Payload) []wire.Payload { find[*wire.Notify](list).Data = nil; return list },
			wire.NotifyStateNotFound},
		"another method": {func(list []wire.Payload) []wire.Payload { find[*wire.KE](list).Group = 31; return list }, wire.NotifyInvalidSyntax},
		"no value":       {func(list []wire.Payload) []wire.Payload { return list[1:] }, wire.NotifyInvalidSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			l := begun(t)
			l.edit(l.a, c.change)
			l.deliver(l.a)
			if got := find[*wire.Notify](l.peek(l.b)); got == nil || got.Kind != c.want {
				t.Errorf("answered with %v, want %v", got, c.want)
			}
			l.settle()
			l.paired()
			if e := l.event(l.a, session.Failed); e.Reason != session.RekeyFailed {
				t.Errorf("a says %s", e.Reason)
			}
			l.wait(unfinishedLife+fade, l.settle)
			l.unharmed()
		})
	}
}

// An answer that does not fit is not taken, and what the peer has made of it is deleted (RFC 9370 §2.2.4).
func TestFollowupAnswerSpoilt(t *testing.T) {
	for name, change := range map[string]func([]wire.Payload) []wire.Payload{
		"another method": func(list []wire.Payload) []wire.Payload { find[*wire.KE](list).Group = 31; return list },
		"nothing":        func([]wire.Payload) []wire.Payload { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			l := begun(t)
			l.deliver(l.a)
			l.edit(l.b, change)
			l.settle()
			l.wait(unfinishedLife+fade, l.settle)
			l.unharmed()
		})
	}
	l := newLab(t) // and CREATE_CHILD_SA without a link, which leads nowhere
	l.a.cfg.ESP, l.b.cfg.ESP = espProposals(t, moreESP), espProposals(t, moreESP)
	l.initiate(l.a)
	l.settle()
	l.do(l.a, session.Rekey{})
	l.deliver(l.a)
	l.edit(l.b, func(list []wire.Payload) []wire.Payload { return list[:len(list)-1] })
	l.settle()
	l.wait(unfinishedLife+fade, l.settle)
	l.unharmed()
}

// DOS-08: what a peer leaves unfinished is bounded, and is given up in time.
func TestUnfinishedIsBounded(t *testing.T) {
	l := newLab(t)
	l.a.cfg.ESP, l.b.cfg.ESP = espProposals(t, moreESP), espProposals(t, moreESP)
	l.a.cfg.IKE, l.b.cfg.IKE = ikeProposals(t, defaultIKE+"-ke1_ecp256"), ikeProposals(t, defaultIKE+"-ke1_ecp256")
	l.initiate(l.a)
	l.settle()
	for n := range 40 {
		l.a.sa().nextOut = l.b.sa().nextIn
		if n%2 == 0 {
			l.do(l.a, session.Rekey{})
		} else {
			l.do(l.a, session.Rekey{IKE: true})
		}
		l.deliver(l.a)
		l.a.queue, l.b.queue = nil, nil
		if sa := l.a.sa(); sa.open != nil {
			sa.abandon()
			sa.open = nil
		}
		for _, c := range l.a.sa().children {
			c.state = childUp
		}
		if got := len(l.b.sa().unfinished); got > maxUnfinished {
			t.Fatalf("%d unfinished", got)
		}
		if problem := l.sound(l.b); problem != "" {
			t.Fatal(problem)
		}
	}
	l.wait(unfinishedLife+1, func() { l.a.queue, l.b.queue = nil, nil })
	if sa := l.b.sa(); sa != nil && len(sa.unfinished) > 0 {
		t.Errorf("%d unfinished for ever", len(sa.unfinished))
	}
}
