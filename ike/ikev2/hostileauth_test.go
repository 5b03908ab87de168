package ikev2

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// atAuth returns a lab in which a's IKE_AUTH request waits to be delivered.
func atAuth(t testing.TB, set func(l *lab)) *lab {
	l := newLab(t)
	if set != nil {
		set(l)
	}
	l.initiate(l.a)
	l.deliver(l.a)
	l.deliver(l.b)
	return l
}

// refusedWith checks that b answers AUTHENTICATION_FAILED and nothing more, whatever the reason, and keeps nothing; it
// returns what b tells its own operator.
func (l *lab) refusedWith(reason session.Reason) string {
	l.t.Helper()
	l.deliver(l.a)
	if answer := l.peek(l.b); says(answer) != wire.NotifyAuthenticationFailed || len(find[*wire.Notify](answer).Data) > 0 {
		l.t.Fatalf("b answers {%s}", wire.Describe(answer))
	}
	l.settle()
	failed := l.event(l.b, session.Failed)
	if failed.Reason != reason {
		l.t.Errorf("b says %s: %s, want %s", failed.Reason, failed.Hint, reason)
	}
	if ups := len(filter(l.a.events, session.IKEUp)) + len(filter(l.b.events, session.IKEUp)); ups > 0 {
		l.t.Error("an IKE SA is up")
	}
	l.mustBeGone()
	return failed.Hint
}

// TestHostileIdentity is MAL-14 and AUT-14 (CVE-2013-6075, CVE-2017-9023, CVE-2025-9242, CVE-2023-28771): an identity that is none
// is refused like a wrong one, and what a log shows of it is short and printable.
func TestHostileIdentity(t *testing.T) {
	long := strings.Repeat("a", 60_000)
	for name, id := range map[string]wire.ID{
		"IPv4 of 3 octets": {Kind: wire.IDIPv4, Data: []byte{1, 2, 3}}, "IPv4 of 5 octets": {Kind: wire.IDIPv4, Data: []byte{1, 2, 3, 4, 5}},
		"IPv6 of 15 octets": {Kind: wire.IDIPv6, Data: make([]byte, 15)}, "IPv6 of 17 octets": {Kind: wire.IDIPv6, Data: make([]byte, 17)},
		"no type": {Kind: 0, Data: []byte("x")}, "reserved type": {Kind: 4, Data: []byte("x")}, "type 255": {Kind: 255, Data: []byte("x")},
		"empty name": {Kind: wire.IDFQDN}, "NUL": {Kind: wire.IDFQDN, Data: []byte("gw\x00.example")}, "newline": {Kind: wire.IDFQDN, Data: []byte("gw\nlevel=error msg=fake")},
		"escape": {Kind: wire.IDFQDN, Data: []byte("\x1b[2J\x1b]0;owned\x07")}, "shell": {Kind: wire.IDRFC822, Data: []byte("$(id)@`reboot`;'")},
		"no UTF-8": {Kind: wire.IDKeyID, Data: []byte{0xff, 0xfe, 0x80}}, "right to left": {Kind: wire.IDFQDN, Data: []byte("gw\u202egpj")},
		"long name": {Kind: wire.IDFQDN, Data: []byte(long)}, "long key ID": {Kind: wire.IDKeyID, Data: []byte(long)},
		"DER garbage": {Kind: wire.IDDERASN1DN, Data: []byte("0\x80\xff\xff")}, "DER indefinite": {Kind: wire.IDDERASN1DN, Data: bytes.Repeat([]byte{0x30, 0x80}, 500)},
		"DER choice":                {Kind: wire.IDDERASN1GN, Data: bytes.Repeat([]byte{0xa4, 0x84}, 500)},
		"name of the right address": {Kind: wire.IDFQDN, Data: []byte("192.0.2.1")}, "nobody": {Kind: wire.IDIPv4},
		"address and more": {Kind: wire.IDFQDN, Data: []byte{192, 0, 2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			l := atAuth(t, nil)
			l.edit(l.a, func(list []wire.Payload) []wire.Payload {
				idi := find[*wire.ID](list)
				idi.Kind, idi.Data = id.Kind, id.Data
				return list
			})
			if hint := l.refusedWith(session.IDMismatch); hint == "" || len(hint) > 250 {
				t.Errorf("b's hint has %d letters: %.300s", len(hint), hint)
			}
		})
		t.Run(name+" of the responder", func(t *testing.T) {
			l := atAuth(t, nil)
			l.deliver(l.a)
			l.edit(l.b, func(list []wire.Payload) []wire.Payload {
				idr := find[*wire.ID](list)
				idr.Kind, idr.Data = id.Kind, id.Data
				return list
			})
			l.settle()
			failed := l.event(l.a, session.Failed)
			if failed.Reason != session.IDMismatch || len(failed.Hint) > 250 || len(filter(l.a.events, session.IKEUp)) > 0 {
				t.Errorf("a says %s: %.300s", failed.Reason, failed.Hint)
			}
			l.mustBeGone()
		})
	}
}

// TestSecretsAreOctets is AUT-01 and N-51: what is not the very same octets is refused, at both ends. (NULs at the end are
// no case: HMAC fills a key up with them, RFC 2104 §2.)
func TestSecretsAreOctets(t *testing.T) {
	ours := []byte("correct horse battery staple")
	flipped := slices.Clone(ours)
	flipped[0] ^= 1
	for name, theirs := range map[string][]byte{
		"another": []byte("x"), "a newline more": append(slices.Clone(ours), '\n'), "one octet less": ours[1:],
		"one bit off": flipped, "upper case": bytes.ToUpper(ours), "NUL inside": []byte("correct\x00horse battery staple"),
		"doubled": slices.Concat(ours, ours),
	} {
		t.Run(name, func(t *testing.T) {
			l := atAuth(t, func(l *lab) { l.secrets(ours, theirs) })
			l.refusedWith(session.AuthFailed)
		})
	}
	for name, secret := range map[string][]byte{"64 octets": bytes.Repeat([]byte("0123456789abcdef"), 4), "binary with NUL": {0, 1, 2, 0xff, 0},
		"one octet": {7}, "longer than the hash's block": bytes.Repeat([]byte("k"), 300)} {
		t.Run(name, func(t *testing.T) {
			l := atAuth(t, func(l *lab) { l.secrets(secret, secret) })
			l.settle()
			l.unharmed()
		})
	}
}

// secrets gives each side its secret.
func (l *lab) secrets(a, b []byte) {
	l.a.cfg.Auth.Secrets = []auth.Secret{{Peer: l.a.cfg.Peer, Key: a}}
	l.b.cfg.Auth.Secrets = []auth.Secret{{Peer: l.b.cfg.Peer, Key: b}}
}

// TestNoSecretAtAuth is SM-21 (CVE-2024-2357): the secret goes missing at either end, before and at IKE_AUTH, and what
// is left is a reason; when the secret is back the tunnel comes up.
func TestNoSecretAtAuth(t *testing.T) {
	expired := func(g *gateway) { g.cfg.Auth.Secrets[0].NotAfter = start.Add(time.Second) }
	for name, set := range map[string]func(l *lab){
		"a has none":              func(l *lab) { l.a.cfg.Auth.Secrets = nil },
		"a has an empty one":      func(l *lab) { l.a.cfg.Auth.Secrets[0].Key = nil },
		"b has none":              func(l *lab) { l.b.cfg.Auth.Secrets = nil },
		"b has an empty one":      func(l *lab) { l.b.cfg.Auth.Secrets[0].Key = nil },
		"a's ends while it waits": func(l *lab) { expired(l.a) },
		"b's ends while a waits":  func(l *lab) { expired(l.b) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			good := [2]auth.Credentials{{Secrets: slices.Clone(l.a.cfg.Auth.Secrets)}, {Secrets: slices.Clone(l.b.cfg.Auth.Secrets)}}
			set(l)
			l.initiate(l.a)
			l.now = l.now.Add(2 * time.Second)
			l.settle()
			who := l.a
			if name[0] == 'b' {
				who = l.b
			}
			if failed := l.event(who, session.Failed); failed.Reason != session.SecretUnavailable {
				t.Errorf("%s says %s: %s", who.name, failed.Reason, failed.Hint)
			}
			l.mustBeGone()
			l.a.cfg.Auth, l.b.cfg.Auth = good[0], good[1]
			l.initiate(l.a)
			l.settle()
			l.unharmed()
		})
	}
}

// TestUnknownAndWrongLookAlike is AUT-01: who the peer is and whether its key is right shows in b's log, and in nothing
// that b sends: not in the octets, their number, or how often a repeated request is answered.
func TestUnknownAndWrongLookAlike(t *testing.T) {
	answers := map[string][]int{}
	for name, set := range map[string]func(l *lab){
		"unknown identity": func(l *lab) { l.a.cfg.LocalID = auth.ID{Type: wire.IDIPv4, Data: "\x0a\x0a\x0a\x0a"} },
		"wrong key":        func(l *lab) { l.secrets([]byte("one"), []byte("other")) },
		"no key":           func(l *lab) { l.b.cfg.Auth.Secrets = nil },
		"other responder":  func(l *lab) { l.a.cfg.RemoteID = auth.ID{Type: wire.IDIPv4, Data: "\x0a\x0a\x0a\x0a"} },
	} {
		l := atAuth(t, set)
		request := l.queued(l.a)
		l.deliver(l.a)
		answer := l.peek(l.b)
		if says(answer) != wire.NotifyAuthenticationFailed {
			t.Errorf("%s: b answers {%s}", name, wire.Describe(answer))
		}
		l.arrive(l.a, request)
		for _, d := range l.b.queue {
			answers[name] = append(answers[name], len(d.Bytes))
		}
	}
	for name, sizes := range answers {
		if !slices.Equal(sizes, answers["wrong key"]) {
			t.Errorf("%s gets answers of %v octets, a wrong key of %v", name, sizes, answers["wrong key"])
		}
	}
}

// queued is the oldest message of g, which stays.
func (l *lab) queued(g *gateway) []byte {
	l.t.Helper()
	if len(g.queue) == 0 {
		l.t.Fatalf("%s has nothing to send\n%s", g.name, l.log.String())
	}
	return slices.Clone(g.queue[0].Bytes)
}

// TestOtherMethod is AUT-05 and AUT-10: a proof of another kind than the pre-shared key that is configured, be its octets
// right, wrong or none, an EAP payload in its place, and certificates of any encoding beside.
func TestOtherMethod(t *testing.T) {
	for _, method := range []wire.AuthMethod{0, 1, 3, 9, wire.AuthNull, wire.AuthDigitalSignature, 201, 255} {
		for _, right := range []bool{true, false} {
			l := atAuth(t, nil)
			l.edit(l.a, func(list []wire.Payload) []wire.Payload {
				proof := find[*wire.Auth](list)
				if proof.Method = method; !right {
					proof.Data = nil
				}
				return append(list, &wire.Cert{Encoding: 4, Data: []byte("0\x80")}, &wire.Cert{Encoding: 12})
			})
			l.refusedWith(session.AuthFailed)

			l = atAuth(t, nil)
			l.deliver(l.a)
			l.edit(l.b, func(list []wire.Payload) []wire.Payload {
				find[*wire.Auth](list).Method = method
				return list
			})
			l.settle()
			if failed := l.event(l.a, session.Failed); failed.Reason != session.AuthFailed || len(filter(l.a.events, session.IKEUp)) > 0 {
				t.Errorf("method %d of the responder: a says %s", method, failed.Reason)
			}
			l.mustBeGone()
		}
	}
	for name, eap := range map[string][]byte{"EAP request": {1, 1, 0, 5, 1}, "EAP success": {3, 1, 0, 4}, "nothing": nil} {
		l := atAuth(t, nil)
		l.edit(l.a, func(list []wire.Payload) []wire.Payload {
			i := slices.IndexFunc(list, func(p wire.Payload) bool { return p.Type() == wire.TypeAuth })
			list[i] = &wire.Unknown{Kind: wire.TypeEAP, Data: eap}
			return list
		})
		l.deliver(l.a)
		if answer := l.peek(l.b); says(answer) != wire.NotifyInvalidSyntax {
			t.Errorf("%s: b answers {%s}", name, wire.Describe(answer))
		}
		l.settle()
		l.mustBeGone()
	}
	l := connected(t) // and later it is nothing at all
	l.request(l.a, wire.Informational, &wire.Unknown{Kind: wire.TypeEAP, Data: []byte{3, 1, 0, 4}})
	l.settle()
	l.unharmed()
}

// TestKeyOfAnotherPeer is AUT-02 (RFC 7296 §1.2): a holds the key of its own connection and claims to be somebody else,
// who has a connection too. The key that counts is that of the identity.
func TestKeyOfAnotherPeer(t *testing.T) {
	for _, address := range []string{"its own", "the other's"} {
		l := newLab(t)
		stranger := l.b.cfg
		stranger.Peer, stranger.RemoteID = "lab/stranger", auth.ID{Type: wire.IDFQDN, Data: "stranger.example"}
		stranger.Remote = prefixes("10.9.0.0/24")
		stranger.Auth = auth.Credentials{Secrets: []auth.Secret{{Peer: "lab/stranger", Key: []byte("known to the stranger alone")}}}
		l.b.accepts = []Config{l.b.cfg, stranger}
		if address == "the other's" {
			l.b.accepts = []Config{stranger, l.b.cfg}
		}
		l.a.cfg.LocalID = stranger.RemoteID
		l.initiate(l.a)
		l.deliver(l.a)
		l.deliver(l.b)
		l.refusedWith(session.AuthFailed)
	}
}

// TestTwoTunnelsToOneAddress is AUT-12: two connections whose peers are at one address, told apart by identity and key
// only. Each is found, a mixture is refused, and the Child SA is that of the one that was found.
func TestTwoTunnelsToOneAddress(t *testing.T) {
	name := func(n string) auth.ID { return auth.ID{Type: wire.IDFQDN, Data: n + ".example"} }
	key := map[string][]byte{"one": []byte("the key of one"), "two": []byte("the key of two")}
	network := map[string][]esp.Selector{"one": prefixes("10.1.1.0/24"), "two": prefixes("10.1.2.0/24")}
	for _, c := range []struct{ id, asks, key, net, want string }{
		{"one", "hub1", "one", "one", "lab/one"}, {"two", "hub2", "two", "two", "lab/two"},
		{"one", "hub1", "two", "one", ""}, {"two", "hub2", "one", "two", ""}, // swapped keys
		{"one", "hub2", "one", "one", ""}, {"two", "hub1", "two", "two", ""}, // swapped tunnels
		{"one", "hub1", "one", "two", "no child"}, {"two", "hub2", "two", "one", "no child"}, // the network of the other
	} {
		l := newLab(t)
		for n, hub := range map[string]string{"one": "hub1", "two": "hub2"} {
			cfg := l.b.cfg
			cfg.Peer, cfg.LocalID, cfg.RemoteID, cfg.Remote = "lab/"+n, name(hub), name(n), network[n]
			cfg.Auth = auth.Credentials{Secrets: []auth.Secret{{Peer: "lab/one", Key: key["one"]}, {Peer: "lab/two", Key: key["two"]}}}
			l.b.accepts = append(l.b.accepts, cfg)
		}
		l.a.cfg.LocalID, l.a.cfg.RemoteID, l.a.cfg.Local = name(c.id), name(c.asks), network[c.net]
		l.a.cfg.Auth.Secrets[0].Key = key[c.key]
		l.initiate(l.a)
		l.settle()
		got := ""
		if up := filter(l.b.events, session.IKEUp); len(up) > 0 {
			if got = up[0].Peer; l.unpaired() != "" {
				got = "no child"
			}
		}
		if got != c.want {
			t.Errorf("%+v: %q came up", c, got)
		}
		for _, child := range l.b.children {
			if child.Peer != c.want || !slices.Equal(child.Remote, network[c.net]) {
				t.Errorf("%+v: a Child SA of %s to %v", c, child.Peer, child.Remote)
			}
		}
		l.mustBeSound()
	}
}
