package ikev2

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"twinbore/ike/session"
)

// F3: each end keeps what both wanted, as far as it knows.
func TestFailuresCarryBothOffers(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		kind   session.Kind
		a, b   string // About, whether the peer told, and what differs
	}{
		"IKE proposals": {"set a ike=aes128gcm16-prfsha384-curve25519\ninitiate a\ndeliver all\nwait 10s", session.Failed,
			"IKE proposal false []", "IKE proposal true [PRF [prfsha256] [prfsha384]]"},
		"ESP proposals": {"set a esp=aes256gcm16-noesn\ninitiate a\ndeliver all", session.ChildFailed,
			"ESP proposal false []", "ESP proposal true [encryption [aes128gcm16] [aes256gcm16]]"},
		"selectors": {"set a local=10.9.0.0/24\ninitiate a\ndeliver all", session.ChildFailed,
			"traffic selectors false []", "traffic selectors true [networks there [10.0.1.0/24] [10.9.0.0/24]]"},
		"a narrowed answer": {"set a local=10.0.0.0/16 narrow=refuse\ninitiate a\ndeliver all", session.ChildFailed,
			"traffic selectors true [networks here [10.0.0.0/16] [10.0.1.0/24]]", ""},
		"a key": {"set a psk=another\ninitiate a\ndeliver all", session.Failed,
			"identity false []", "pre-shared key true [pre-shared key [] [another one]]"},
		"a rekey with PFS": {"set b esp=aes128gcm16-ecp256-noesn\ninitiate a\ndeliver all\nrekey-child a\ndeliver all", session.Failed,
			"ESP proposal false []", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			for line := range strings.Lines(test.script) {
				if err := l.command(strings.Fields(line)); err != nil {
					t.Fatal(err)
				}
			}
			for g, want := range map[*gateway]string{l.a: test.a, l.b: test.b} {
				if want == "" {
					continue
				}
				if got := offersText(l.event(g, test.kind).Offers); got != want {
					t.Errorf("%s has %s, want %s", g.name, got, want)
				}
			}
		})
	}
}

func offersText(o *session.Offers) string {
	if o == nil {
		return "none"
	}
	var differ []string
	for _, r := range o.Rows {
		if r.Differs {
			differ = append(differ, fmt.Sprintf("%s %v %v", r.What, r.Ours, r.Theirs))
		}
	}
	return fmt.Sprintf("%s %v %v", o.About, o.Told, differ)
}

// SEC-02, F12: no event has a key, whatever it tells of; what is recorded and shown is made of events.
func TestEventsHoldNoKeys(t *testing.T) {
	l := connected(t)
	secrets := map[string][]byte{"the pre-shared key": l.a.cfg.Auth.Secrets[0].Key}
	keep := func() {
		for _, g := range []*gateway{l.a, l.b} {
			secrets[g.name+" SK_d"] = append([]byte(nil), g.sa().keys.d...)
			for id, c := range g.children {
				secrets[fmt.Sprint(g.name, " in ", id)], secrets[fmt.Sprint(g.name, " out ", id)] = c.In.Key, c.Out.Key
			}
		}
	}
	keep()
	for _, cmd := range []string{"rekey-child a", "deliver all", "rekey-ike b", "deliver all"} {
		if err := l.command(strings.Fields(cmd)); err != nil {
			t.Fatal(err)
		}
		keep()
	}
	var all strings.Builder
	for _, g := range []*gateway{l.a, l.b} {
		for _, e := range g.events {
			fmt.Fprintf(&all, "%+v %x\n", e, fmt.Sprintf("%+v", e))
		}
	}
	if len(secrets) < 8 {
		t.Fatalf("only %d secrets to look for", len(secrets))
	}
	for name, key := range secrets {
		for _, form := range []string{string(key), hex.EncodeToString(key), strings.Trim(fmt.Sprint(key), "[]")} {
			if len(key) < 16 || strings.Contains(all.String(), form) {
				t.Errorf("%s, %d octets, is in an event", name, len(key))
			}
		}
	}
}
