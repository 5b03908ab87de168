package daemon

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/tunnel/simnet"
)

// F12: a flood of messages costs bounded memory and washes no change of state out.
func TestRecorderIsBoundedAndKeepsChanges(t *testing.T) {
	r := newRecorder()
	r.add("hq", "1")
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r.observe(session.Event{Kind: session.IKEUp, Peer: "hq/1", Time: at})
	for i := range uint32(5000) {
		r.observe(session.Event{Kind: session.Message, Peer: "hq/1", Time: at, MessageID: i, Exchange: "INFORMATIONAL"})
		r.observe(session.Event{Kind: session.Message, Peer: "stranger/1", Time: at, MessageID: i})
	}
	logs, err := r.read(api.LogQuery{})
	if err != nil || len(logs.Entries) != keptMessages+1 || len(r.tapes) != 2 {
		t.Fatalf("%d entries of %d tunnels, want %d of 2 (%v)", len(logs.Entries), len(r.tapes), keptMessages+1, err)
	}
	if first := logs.Entries[0]; first.Kind != "ike up" || first.Connection != "hq" || first.Tunnel != "1" {
		t.Errorf("the oldest entry is %+v", first)
	}
	for i, e := range logs.Entries[1:] {
		if want := uint32(5000 - keptMessages + i); e.Message.ID != want {
			t.Fatalf("entry %d is message %d, want %d", i, e.Message.ID, want)
		}
	}
	for range 1000 {
		r.observe(session.Event{Kind: session.ChildUp, Peer: "hq/1", Time: at})
	}
	if logs, _ = r.read(api.LogQuery{}); len(logs.Entries) != keptMessages+keptChanges {
		t.Errorf("%d entries after a flood of changes", len(logs.Entries))
	}
}

func TestRecorderAnswersQueries(t *testing.T) {
	r := newRecorder()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for i, peer := range []string{"hq/1", "hq/2", "branch/1", ""} {
		conn, tunnel, _ := strings.Cut(peer, "/")
		if peer != "" {
			r.add(conn, tunnel)
		}
		r.observe(session.Event{Kind: session.Dropped, Peer: peer, Time: at.Add(time.Duration(i) * time.Second), Story: "no",
			IKE: session.IKEInfo{Path: esp.Path{Remote: netip.MustParseAddrPort("192.0.2.1:500")}}})
	}
	for query, want := range map[api.LogQuery]int{
		{}:                                4,
		{Connection: "hq"}:                2,
		{Connection: "hq", Tunnel: "2"}:   1,
		{Since: at.Add(2 * time.Second)}:  2,
		{After: 3}:                        1,
		{After: 4}:                        0,
		{Connection: "branch", After: 99}: 0,
	} {
		logs, err := r.read(query)
		if err != nil || len(logs.Entries) != want || logs.Last != 4 {
			t.Errorf("%+v: %d entries, last %d (%v), want %d", query, len(logs.Entries), logs.Last, err, want)
		}
	}
	for _, q := range []api.LogQuery{{Connection: "nowhere"}, {Connection: "hq", Tunnel: "3"}} {
		_, err := r.read(q)
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Reason != api.NotFound {
			t.Errorf("%+v: got %v", q, err)
		}
	}
}

// F12, SEC-02: the recorder tells the story of a tunnel from its first message to its end, on both sides, and no key.
func TestRecorderTellsTheStoryOfATunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		if _, err := left.d.Act(t.Context(), api.Action{Verb: api.Rekey, Connection: "hq", Tunnel: "1"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		net.BlackholeBoth(customer, cloud1)
		left.want("2: DOWN UP", 4*time.Second)
		time.Sleep(time.Second)

		var all string
		for _, s := range []*site{left, right} {
			logs, err := s.d.Logs(api.LogQuery{Connection: s.connection().Name, Tunnel: "1"})
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(logs)
			if err != nil {
				t.Fatal(err)
			}
			all += string(raw)
			var story []string
			for _, e := range logs.Entries {
				story = append(story, e.Kind+" "+e.Text)
			}
			text := strings.Join(story, "\n")
			for _, want := range []string{"ike up aes256gcm16-prfsha256-curve25519, ", "child up aes256gcm16", "tunnel up after", "child rekeyed ",
				"ike rekeyed ", "ike down ", "tunnel down ", "message ask again: no answer yet"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s does not tell of %q:\n%s", s.connection().Name, want, text)
				}
			}
			for _, e := range logs.Entries {
				if m := e.Message; m != nil && (m.Exchange == "" || m.Octets == 0 || e.Remote == "" || e.Local == "") {
					t.Errorf("%s: a message without all there is to know: %+v, %+v", s.connection().Name, e, m)
				}
			}
		}
		if !strings.Contains(all, "operator: rekey") || !strings.Contains(all, "ask for an IKE SA") {
			t.Errorf("something is missing:\n%s", all)
		}
		for _, canary := range []string{"the key of tunnel one", "746865206b6579206f6620", "dGhlIGtleSBvZiB0dW5uZWwg"} {
			if strings.Contains(all, canary) {
				t.Errorf("the pre-shared key is in the recorder, as %s", canary)
			}
		}
	})
}

// F3: both ends' status shows what both wanted, as far as it was told.
func TestStatusKeepsBothOffers(t *testing.T) {
	for name, test := range map[string]struct {
		old, new    string
		left, right string // the rows
		reason      string
	}{
		"IKE": {"ike: [aes256gcm16-prfsha256-x25519]", "ike: [aes256gcm16-prfsha384-x25519]",
			"encryption|aes256gcm16||false group|curve25519||false PRF|prfsha384||false", "PRF|prfsha256|prfsha384|true encryption|aes256gcm16|aes256gcm16|false group|curve25519|curve25519|false", "NO_PROPOSAL_IKE"},
		"ESP": {"esp: [aes256gcm16-x25519]", "esp: [chacha20poly1305-x25519]",
			"", "encryption|aes256gcm16|chacha20poly1305|true", "NO_PROPOSAL_ESP"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := simnet.New(1)
				t.Cleanup(net.Close)
				net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
				right := open(t, net, rightConfig, nil)
				left := open(t, net, strings.Replace(leftConfig, test.old, test.new, 1), nil)
				time.Sleep(8 * time.Second)
				for _, side := range []struct {
					s    *site
					told bool
					want string
				}{{left, false, test.left}, {right, true, test.right}} {
					f := side.s.connection().Tunnels[0].Failure
					if f == nil || f.Reason != test.reason || f.About == nil || *f.About != name+" proposal" || f.Told != side.told || len(f.Ours) != 1 {
						t.Fatalf("%s keeps %+v\n%s", side.s.connection().Name, f, side.s.log)
					}
					var rows []string
					for _, r := range f.Transforms {
						row := r.What + "|" + strings.Join(r.Ours, ",") + "|" + strings.Join(r.Theirs, ",") + "|false"
						if r.Differs {
							row = strings.TrimSuffix(row, "false") + "true"
						}
						rows = append(rows, row)
					}
					for _, want := range strings.Fields(side.want) {
						if !strings.Contains(strings.Join(rows, " "), want) {
							t.Errorf("%s: no row %s in %q", side.s.connection().Name, want, rows)
						}
					}
				}
			})
		})
	}
}

// Messages are of level debug, changes of info, and what is wrong, but for what the operator wanted, of warn.
func TestRecorderKnowsLevels(t *testing.T) {
	r, e := newRecorder(), &end{peer: "hq/1"}
	r.add("hq", "1")
	for _, ev := range []session.Event{{Kind: session.Message}, {Kind: session.Dropped}, {Kind: session.IKEUp}, {Kind: session.IKEDown, Reason: session.PeerDeleted},
		{Kind: session.Failed, Reason: session.NoResponse}, {Kind: session.ChildFailed, Reason: session.TSUnacceptable}, {Kind: session.Weak},
		{Kind: session.Failed, Reason: session.AdminDown}} {
		ev.Peer, ev.Time = "hq/1", noon
		r.observe(ev)
	}
	r.note(e, noon, "tunnel up", "", "")
	r.note(e, noon, "tunnel down", "DPD_TIMEOUT", "")
	r.note(e, noon, "tunnel down", "ADMIN_DOWN", "")
	for level, want := range map[string]int{"": 11, "debug": 11, "info": 9, "warn": 4} {
		logs, err := r.read(api.LogQuery{Level: level})
		if err != nil || len(logs.Entries) != want {
			t.Errorf("level %q: %d entries (%v), want %d", level, len(logs.Entries), err, want)
		}
		for _, e := range logs.Entries {
			if e.Level == "" {
				t.Errorf("%s has no level", e.Kind)
			}
		}
	}
}
