package ikev2

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// F3: an identity, a key or a certificate that is not believed is explained at each end as far as it knows, for each tunnel
// that an answered peer could have been; what the peer learns is the same as ever (AUT-01, AUT-04). SEC-02: no secret is told.
func TestIdentitiesAreExplained(t *testing.T) {
	shared := func(l *lab) {
		for _, g := range []*gateway{l.a, l.b} {
			g.cfg.Auth = auth.Credentials{Secrets: []auth.Secret{{Peer: g.cfg.Peer, Name: "current", Key: []byte("the secret of the two of them")},
				{Peer: g.cfg.Peer, Name: "previous", Key: []byte("the secret of the day before")}}}
		}
	}
	another := func(change func(*Config)) func(*lab) {
		return func(l *lab) {
			shared(l)
			second := l.b.cfg
			second.Peer = "lab/second"
			change(&second)
			l.b.accepts = []Config{l.b.cfg, second}
		}
	}
	stories := []struct {
		name string
		set  func(*lab)
		edit func([]wire.Payload) []wire.Payload // of a's IKE_AUTH on the way
	}{
		{"a is not whom b expects", func(l *lab) { shared(l); l.a.cfg.LocalID = mustParse("a.example") }, nil},
		{"b is not whom a calls", func(l *lab) { shared(l); l.a.cfg.RemoteID = mustParse("b.example") }, nil},
		{"b answers as somebody whom a has not called", func(l *lab) { shared(l); l.a.cfg.RemoteID = mustParse("b.example") }, withoutIDr},
		{"a has b's own name", func(l *lab) { shared(l); l.a.cfg.LocalID = l.b.cfg.LocalID }, nil},
		{"another key", func(l *lab) {
			shared(l)
			l.a.cfg.Auth.Secrets = []auth.Secret{{Peer: l.a.cfg.Peer, Name: "current", Key: []byte("the secret of nobody else")}}
		}, nil},
		{"a key where a certificate should be", func(l *lab) {
			withCerts(l)
			l.a.cfg.Auth = auth.Credentials{Secrets: []auth.Secret{{Peer: l.a.cfg.Peer, Key: []byte("the secret of nobody else")}}}
		}, nil},
		{"a certificate where a key should be", func(l *lab) {
			withCerts(l)
			l.b.cfg.Auth = auth.Credentials{Secrets: []auth.Secret{{Peer: l.b.cfg.Peer, Key: []byte("the secret of nobody else")}}}
		}, nil},
		{"a certificate of another authority", func(l *lab) { withCerts(l); l.a.certs().Signers[0] = signerFor(l.t, "other", "a", "") }, nil},
		{"a certificate that names another", func(l *lab) {
			withCerts(l)
			l.a.cfg.LocalID = mustParse("somebody.example")
			l.a.certs().Signers[0] = signerFor(l.t, "ca", "a", "unnamed")
		}, func(list []wire.Payload) []wire.Payload { find[*wire.ID](list).Data = []byte("a.example"); return list }},
		{"a certificate that was replaced on the way", withCerts, func(list []wire.Payload) []wire.Payload {
			return certsIn(list, func(c []*wire.Cert) []*wire.Cert { c[0].Data = []byte("0\x80"); return c })
		}},
		{"a signature that is none", withCerts, func(list []wire.Payload) []wire.Payload { find[*wire.Auth](list).Data = []byte{9}; return list }},
		{"none of two tunnels, each for its own reason", another(func(c *Config) { c.LocalID = mustParse("hub.example") }), func(list []wire.Payload) []wire.Payload {
			find[*wire.ID](list).Kind, find[*wire.ID](list).Data = wire.IDFQDN, []byte("a.example")
			return list
		}},
		{"none of two tunnels, for the same reason", func(l *lab) { another(func(*Config) {})(l); l.a.cfg.LocalID = mustParse("a.example") }, nil},
		{"no proposal of two tunnels", func(l *lab) {
			another(func(c *Config) { c.IKE = ikeProposals(l.t, "aes256-sha384-ecp384") })(l)
			l.a.cfg.IKE = ikeProposals(l.t, "aes256gcm16-prfsha384-ecp384")
		}, nil},
	}
	var got strings.Builder
	for _, story := range stories {
		l := newLab(t)
		story.set(l)
		l.initiate(l.a)
		if story.edit != nil {
			l.deliver(l.a)
			l.deliver(l.b)
			l.edit(l.a, story.edit)
		}
		l.settle()
		l.wait(time.Minute, l.settle)
		fmt.Fprintf(&got, "# %s\n", story.name)
		for _, g := range []*gateway{l.a, l.b} {
			failed := filter(g.events, session.Failed)
			if len(failed) == 0 {
				fmt.Fprintf(&got, "%s: no failure\n", g.name)
				continue
			}
			if e := failed[0]; e.Offers != nil {
				fmt.Fprintf(&got, "%s%s: %s", g.name, strings.Join(append([]string{""}, e.Candidates...), " "), e.Reason)
				writeOffers(&got, e.Offers)
			} else {
				fmt.Fprintf(&got, "%s: %s, nothing to compare\n", g.name, e.Reason)
			}
		}
	}
	const file = "testdata/explanations.golden"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s", got.String())
	}
	for _, secret := range []string{"the secret of", hex.EncodeToString([]byte("the secret of"))} {
		if strings.Contains(got.String(), secret) {
			t.Error("a secret is told")
		}
	}
}

// withoutIDr leaves out whom a calls: b then answers as whoever it is.
func withoutIDr(list []wire.Payload) []wire.Payload {
	return slices.DeleteFunc(slices.Clone(list), func(p wire.Payload) bool {
		id, ok := p.(*wire.ID)
		return ok && !id.Initiator
	})
}

func writeOffers(out *strings.Builder, o *session.Offers) {
	told := ", told"
	if !o.Told {
		told = ", not told"
	}
	fmt.Fprintf(out, ", %s%s\n", o.About, told)
	for _, r := range o.Rows {
		mark := " "
		if r.Differs {
			mark = "!"
		}
		fmt.Fprintf(out, "  %s %s: %s | %s\n", mark, r.What, strings.Join(r.Ours, ", "), strings.Join(r.Theirs, ", "))
	}
}
