package daemon

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/ike/session"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestTimelineKeepsTheLastEvents(t *testing.T) {
	l := newTimeline("gw", noon)
	if list, _ := l.read(0); len(list) != 0 {
		t.Fatalf("a new timeline has %d events", len(list))
	}
	first := l.last + 1
	for range 10_000 {
		l.put(noon, "hq/1", happening{kind: "tunnel.up"})
	}
	all, newer := l.read(0)
	if len(all) != keptEvents || all[0].ID != first+10_000-keptEvents {
		t.Fatalf("%d events from %d on, want the last %d", len(all), all[0].ID-first, keptEvents)
	}
	for i, e := range all {
		if e.ID != all[0].ID+uint64(i) {
			t.Fatalf("event %d is %d", i, e.ID)
		}
	}
	last := all[len(all)-1].ID
	if rest, _ := l.read(last - 3); len(rest) != 3 || rest[2].ID != last {
		t.Errorf("after the last but three there are %d", len(rest))
	}
	if rest, _ := l.read(last + 1_000_000); len(rest) != 0 {
		t.Errorf("after what has not come yet there are %d", len(rest))
	}
	select {
	case <-newer:
		t.Error("something is newer")
	default:
	}
	l.put(noon, "hq/1", happening{kind: "tunnel.down"})
	<-newer
	if later := newTimeline("gw", noon.Add(time.Second)); later.last <= l.last {
		t.Error("after a restart ids are used again")
	}
}

// What strangers can bring about at will washes nothing out.
func TestTimelineIsNotFlooded(t *testing.T) {
	l := newTimeline("gw", noon)
	l.put(noon, "hq/1", happening{kind: "tunnel.up"})
	for i := range 100_000 {
		at := noon.Add(time.Duration(i) * time.Millisecond)
		l.observe(session.Event{Kind: session.Failed, Time: at, Reason: session.NoProposalIKE, Peer: ""})
		l.observe(session.Event{Kind: session.Failed, Time: at, Reason: session.AuthFailed, Peer: "hq/1"})
		l.observe(session.Event{Kind: session.Message, Time: at, Peer: "hq/1"})
		l.observe(session.Event{Kind: session.Dropped, Time: at})
	}
	all, _ := l.read(0)
	if len(all) != 5 || all[0].Kind != "tunnel.up" {
		t.Fatalf("%d events, the first %s; want the tunnel and four failures in 100 s", len(all), all[0].Kind)
	}
	if e := all[3]; e.Kind != "proposal.mismatch" || e.Connection != nil || e.Attributes["untold"] != "59999" || *e.Reason != "NO_PROPOSAL_IKE" {
		t.Errorf("the third says %+v", e)
	}
}

// The kinds are a contract (product.md §7.1).
func TestKindsOfEvents(t *testing.T) {
	for _, c := range []struct {
		kind   session.Kind
		reason session.Reason
		want   string
	}{
		{session.IKEUp, "", "info ike.established"},
		{session.IKERekeyed, "", "info ike.rekeyed"},
		{session.Moved, "", "info ike.moved"},
		{session.IKEDown, session.PeerDeleted, "info ike.deleted"},
		{session.IKEDown, session.DPDTimeout, "warning dpd.timeout, warning ike.deleted"},
		{session.Failed, session.AuthFailed, "warning ike.auth_failed"},
		{session.Failed, session.IDMismatch, "warning ike.auth_failed"},
		{session.Failed, session.NoProposalIKE, "warning proposal.mismatch"},
		{session.Failed, session.InvalidKELoop, "warning proposal.mismatch"},
		{session.Failed, session.NoResponse, "warning ike.failed"},
		{session.Failed, session.AdminDown, "info ike.failed"},
		{session.Weak, "", "warning weak_crypto"},
		{session.ChildUp, "", "info child.established"},
		{session.ChildRekeyed, "", "info child.rekeyed"},
		{session.ChildMoved, "", "info child.moved"},
		{session.ChildDown, session.PeerDeleted, "info child.deleted"},
		{session.ChildFailed, session.TSUnacceptable, "warning child.failed"},
		{session.ChildFailed, session.NoProposalESP, "warning child.failed, warning proposal.mismatch"},
		{session.Message, "", ""},
		{session.Dropped, "", ""},
	} {
		l := newTimeline("gw", noon)
		l.observe(session.Event{Kind: c.kind, Reason: c.reason, Time: noon, Peer: "hq/2"})
		var got []string
		all, _ := l.read(0)
		for _, e := range all {
			got = append(got, e.Severity+" "+e.Kind)
			if e.Gateway != "gw" || *e.Connection != "hq" || *e.Tunnel != "2" || !e.Time.Equal(noon) {
				t.Errorf("%v: %+v", c.kind, e)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%v %s: got %q, want %q", c.kind, c.reason, got, c.want)
		}
	}
}

func TestFlappingIsTold(t *testing.T) {
	for every, want := range map[time.Duration]int{time.Minute: 2, 15 * time.Minute: 0} {
		l, e := newTimeline("gw", noon), &end{peer: "hq/1"}
		for i := range 14 {
			l.flap(noon.Add(time.Duration(i)*every), e)
		}
		if all, _ := l.read(0); len(all) != want || want > 0 && all[0].Kind != "tunnel.flap" {
			t.Errorf("14 changes, one in %v, told of %d times, want %d", every, len(all), want)
		}
	}
}

// F12, SEC-02: the events of a tunnel from its beginning to a failover and its end, and no key.
func TestTimelineTellsTheStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, _ := world(t)
		left.want("1: UP UP", 2*time.Second)
		if _, err := left.d.Act(t.Context(), api.Action{Verb: api.Rekey, Connection: "hq", Tunnel: "1"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		net.BlackholeBoth(customer, cloud1)
		left.want("2: DOWN UP", 4*time.Second)
		if _, err := left.d.Act(t.Context(), api.Action{Verb: api.Down, Connection: "hq", Tunnel: "2"}); err != nil {
			t.Fatal(err)
		}
		left.want("-: DOWN DOWN", time.Second)
		all, _ := left.d.Events(0)
		var told []string
		for _, e := range all {
			where := "-"
			if e.Tunnel != nil {
				where = *e.Tunnel
			}
			told = append(told, fmt.Sprintf("%s %s", where, e.Kind))
			if e.Gateway != "left" || *e.Connection != "hq" || e.Time.IsZero() || e.Attributes == nil {
				t.Errorf("an event without all there is to know: %+v", e)
			}
		}
		from := 0
		for _, want := range []string{"1 ike.established", "1 child.established", "1 tunnel.up", "1 child.rekeyed", "1 ike.rekeyed", "1 dpd.timeout",
			"1 ike.deleted", "1 tunnel.down", "- failover", "2 tunnel.down", "- route.removed"} {
			i := slices.Index(told[from:], want)
			if i < 0 {
				if i = slices.Index(told, want); i < 0 {
					t.Errorf("no %q in %q", want, told)
				}
				continue // two parts tell: of what happens at once either may be first
			}
			from += i
		}
		if !slices.Contains(told, "- route.added") {
			t.Errorf("no route.added in %q", told)
		}
		raw, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		for _, canary := range []string{"the key of tunnel one", "746865206b6579206f6620", "dGhlIGtleSBvZiB0dW5uZWwg"} {
			if strings.Contains(string(raw), canary) {
				t.Errorf("the pre-shared key is in the events, as %s", canary)
			}
		}
	})
}
