package main

import "testing"

func TestClockAddsUpWhatIsBelowAPart(t *testing.T) {
	var c clock
	for _, e := range []struct {
		test    string
		seconds float64
	}{
		{"TestS/nat/ours", 3}, {"TestS/nat/theirs", 4}, {"TestS/nat", 7}, {"TestS/any", 2}, {"TestS/certs/a/b", 9}, {"TestS/certs/a", 9}, {"TestS/certs", 9},
		{"TestS", 18}, {"TestAlone", 1},
	} {
		c.add(e.test, e.seconds)
	}
	if got, want := c.report(), "      seconds of each, several at once: certs 9 nat 7 any 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
