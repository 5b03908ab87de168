package ike

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// DOS-02, N-40 (RFC 7296 §2.6): a cookie is good for the SPI, nonce and address that it was made for, from any port, for two
// to four minutes; anything else counts as none.
func TestCookies(t *testing.T) {
	nonce := bytes.Repeat([]byte{5}, 32)
	addr := netip.MustParseAddr("192.0.2.1")
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		name  string
		spi   uint64
		nonce []byte
		from  netip.Addr
		after time.Duration
		alter func(cookie []byte) []byte
		want  bool
	}{
		{name: "as made", want: true},
		{name: "the same IPv4 address in IPv6 form", from: netip.MustParseAddr("::ffff:192.0.2.1"), want: true},
		{name: "made by the secret before", after: cookieLife, want: true},
		{name: "just before the secret before is gone", after: 2*cookieLife - 1, want: true},
		{name: "secret gone", after: 2 * cookieLife},
		{name: "secret gone for long, the number the same again", after: 256 * cookieLife},
		{name: "another address", from: netip.MustParseAddr("192.0.2.2")},
		{name: "another SPI", spi: 2},
		{name: "another nonce", nonce: bytes.Repeat([]byte{6}, 32)},
		{name: "nonce one octet longer", nonce: bytes.Repeat([]byte{5}, 33)},
		{name: "1 octet", alter: func(c []byte) []byte { return c[:1] }},
		{name: "one octet short", alter: func(c []byte) []byte { return c[:len(c)-1] }},
		{name: "64 octets", alter: func(c []byte) []byte { return append(c, make([]byte, 64-len(c))...) }},
		{name: "65 octets", alter: func(c []byte) []byte { return append(c, make([]byte, 65-len(c))...) }},
		{name: "empty", alter: func([]byte) []byte { return []byte{} }},
		{name: "a bit of the MAC", alter: func(c []byte) []byte { c[len(c)-1] ^= 1; return c }},
		{name: "the number of the secret", alter: func(c []byte) []byte { c[0]--; return c }},
		{name: "all zero", alter: func(c []byte) []byte { return make([]byte, len(c)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			jar := cookies{rand: rand.NewChaCha8([32]byte{9})}
			m, err := wire.ParseMessage(firstRequest(1, nonce, nil))
			if err != nil {
				t.Fatal(err)
			}
			cookie, err := jar.answer(start, m, addr)
			if err != nil {
				t.Fatal(err)
			}
			if len(cookie) < 1 || len(cookie) > 64 {
				t.Fatalf("a cookie of %d octets", len(cookie))
			}
			if c.alter != nil {
				cookie = c.alter(cookie)
			}
			spi, n, from := uint64(1), nonce, addr
			if c.spi != 0 {
				spi = c.spi
			}
			if c.nonce != nil {
				n = c.nonce
			}
			if c.from.IsValid() {
				from = c.from
			}
			back, err := wire.ParseMessage(firstRequest(spi, n, cookie))
			if err != nil {
				t.Fatal(err)
			}
			for at := start.Add(cookieLife); at.Before(start.Add(c.after)); at = at.Add(cookieLife) {
				if err := jar.turn(at); err != nil {
					t.Fatal(err)
				}
			}
			if got := jar.returned(start.Add(c.after), back, from); got != c.want {
				t.Errorf("accepted: %v, want %v", got, c.want)
			}
		})
	}
}

// RFC 7296 §2.6: the cookie is the first payload; DOS-02: elsewhere it counts as none.
func TestCookieMustBeFirst(t *testing.T) {
	jar := cookies{rand: rand.NewChaCha8([32]byte{9})}
	m, _ := wire.ParseMessage(firstRequest(1, make([]byte, 32), nil))
	cookie, _ := jar.answer(time.Unix(1, 0), m, here.Addr())
	m.Payloads = append(m.Payloads, &wire.Notify{Kind: wire.NotifyCookie, Data: cookie})
	if jar.returned(time.Unix(1, 0), m, here.Addr()) {
		t.Error("a cookie behind the other payloads was accepted")
	}
	m.Payloads[0], m.Payloads[len(m.Payloads)-1] = m.Payloads[len(m.Payloads)-1], m.Payloads[0]
	if !jar.returned(time.Unix(1, 0), m, here.Addr()) {
		t.Error("the same cookie in front was not")
	}
}

// DOS-01, DOS-02: from the threshold on a stranger gets a cookie and no state; what it returns decides.
func TestCookieAtTheThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		b := newBench(Config{Peers: []Peer{peer("a/1")}, Limits: Limits{CookieThreshold: 4}}, nil, func([]Peer) session.Session {
			made++
			return &script{}
		}).run(t)
		nonce := bytes.Repeat([]byte{1}, 32)
		for i := range 4 {
			b.deliver(packet{firstRequest(uint64(i+1), nonce, nil), pathFrom(198, 51, 100, byte(i), 500)})
		}
		if sent := b.take(); made != 4 || len(sent) != 0 {
			t.Fatalf("below the threshold: %d sessions and %d cookies, want 4 and 0", made, len(sent))
		}
		ask := func(cookie []byte, port uint16) *wire.Notify {
			t.Helper()
			question := firstRequest(77, nonce, cookie)
			b.deliver(packet{question, pathFrom(192, 0, 2, 1, port)})
			sent := b.take()
			if len(sent) == 0 {
				return nil
			}
			n := notifyIn(t, sent[0])
			if h, _ := wire.ParseHeader(sent[0].b); len(sent) != 1 || n.Kind != wire.NotifyCookie || len(sent[0].b) > len(question) || h.SPIr != 0 || h.SPIi != 77 {
				t.Fatalf("answered with %v in %+v", n.Kind, h)
			}
			return n
		}
		first := ask(nil, 500)
		again := ask([]byte{1, 2, 3}, 500) // wrong is as if none
		if first == nil || again == nil || made != 4 {
			t.Fatalf("at the threshold: %d sessions, cookies %v %v; want 4 and two cookies", made, first, again)
		}
		if ask(first.Data, 1024) != nil || made != 5 { // a NAT changed the port
			t.Errorf("a good cookie was not accepted: %d sessions, want 5", made)
		}
		if c := b.Counters(); c.CookiesSent != 2 || c.HalfOpen != 5 {
			t.Errorf("%d cookies sent, %d half-open; want 2 and 5", c.CookiesSent, c.HalfOpen)
		}
		b.wantDrops(t, map[string]uint64{})
	})
}

// What cannot be read whole is not worth a cookie.
func TestNoCookieForMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1")}, Limits: Limits{CookieThreshold: 1}}, nil, func([]Peer) session.Session { return &script{} }).run(t)
		b.deliver(packet{firstRequest(1, make([]byte, 32), nil), from("198.51.100.1:500")})
		h := wire.Header{SPIi: 5, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator, Next: wire.TypeSA}
		b.deliver(packet{padded(h), from("198.51.100.2:500")}, packet{message(wire.Header{SPIi: 6, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator}), from("198.51.100.3:500")})
		b.wantDrops(t, map[string]uint64{"malformed": 2})
		if sent := b.take(); len(sent) != 0 {
			t.Errorf("%d answers, want none", len(sent))
		}
	})
}
