package store

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/config"
)

func TestDeletedIsListedForAnHour(t *testing.T) { // R9
	synctest.Test(t, func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "state"))
		must(t, s, put("{name: a, id: one}"))
		must(t, s, put("{name: b}"))
		at := time.Now()
		must(t, s, remove("a"))
		listedNow := func(want int) {
			t.Helper()
			got := s.State().Deleted(time.Now())
			if len(got) != want {
				t.Fatalf("%v after the deletion: %v, want %d", time.Since(at), got, want)
			}
			if want > 0 && (got[0].Name != "a" || got[0].ID != "one" || got[0].Kind != config.ConnectionObject || !got[0].DeletedAt.Equal(at) || got[0].Left != time.Hour-time.Since(at)) {
				t.Errorf("%+v", got[0])
			}
		}
		listedNow(1)
		time.Sleep(20 * time.Minute)
		s = reopen(t, s)
		listedNow(1)
		time.Sleep(20 * time.Minute)
		must(t, s, put("{name: c}"))
		time.Sleep(10 * time.Minute)
		s.Close() // and down for a while
		time.Sleep(10*time.Minute - time.Nanosecond)
		s = open(t, s.dir)
		listedNow(1)
		time.Sleep(time.Nanosecond)
		listedNow(0)
		s = reopen(t, s)
		listedNow(0)
		must(t, s, put("{name: d}"))
		if n := len(s.state.Load().tombstones); n != 0 {
			t.Errorf("%d tombstones are kept", n)
		}
		s.Close()
	})
}

// What the wall clock does cannot prolong the hour beyond what the process was up; going forward while it is down shortens it.
func TestTombstonesAndTheWallClock(t *testing.T) { // EV-20, hardening 5.1
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	r := tombstone{expires: at.Add(40 * time.Minute)}.record(at)
	for _, c := range []struct {
		why string
		now time.Time
		min time.Duration
	}{
		{"no time", at, 40 * time.Minute},
		{"ten minutes down", at.Add(10 * time.Minute), 30 * time.Minute},
		{"set back by a year", at.AddDate(-1, 0, 0), 40 * time.Minute},
		{"set forward by a year", at.AddDate(1, 0, 0), 40*time.Minute - 365*24*time.Hour},
	} {
		if got := r.left(c.now); got != c.min {
			t.Errorf("%s: %v left, want %v", c.why, got, c.min)
		}
	}
	r.Left = 100 * time.Hour
	if got := r.left(at); got != listed {
		t.Errorf("a record with more than an hour: %v", got)
	}
}
