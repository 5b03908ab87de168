package tunnel

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestEveryReasonHasAHint shows R24: nothing is DOWN without a word for a person.
func TestEveryReasonHasAHint(t *testing.T) {
	codes := []Reason{NoResponse, DNSFailed, PortBlocked, NoProposalIKE, NoProposalESP, InvalidKELoop, AuthFailed, IDMismatch,
		TSUnacceptable, DPDTimeout, PeerDeleted, RekeyFailed, LifetimeExpired, Idled, BGPIdle, BGPHoldExpired, BGPMaxPrefix,
		ProbeLost, ReplayStorm, SecretUnavailable, AdminIsDown, Drained, WaitingForPeer, WaitingForTraffic, RateLimited,
		DatapathError}
	for _, code := range codes {
		if hints[code] == "" {
			t.Errorf("%s has no hint", code)
		}
	}
	if len(hints) != len(codes) {
		t.Errorf("%d hints for %d codes", len(hints), len(codes))
	}
	if got := Reason("FROM_TOMORROW").Hint(); got == "" {
		t.Error("an unknown code has no hint")
	}
}

func TestRetryDoublesToItsMaximum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second,
		6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		for range 100 {
			got := Retry{}.wait(failures, rnd)
			if got < want*4/5 || got > want*6/5 {
				t.Fatalf("after %d failures: waits %s, want %s give or take 20 %%", failures, got, want)
			}
		}
	}
	if got := (Retry{First: time.Millisecond, Max: 2 * time.Millisecond}).wait(9, rnd); got > 3*time.Millisecond {
		t.Errorf("waits %s with a maximum of 2ms", got)
	}
}
