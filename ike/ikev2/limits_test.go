package ikev2

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// TestGarbageForAHalfOpenSA is DOS-04 (RFC 8019 §4.2): a flood behind a good first request costs one shared secret, and
// after a few messages that do not open the SA is given up.
func TestGarbageForAHalfOpenSA(t *testing.T) {
	l := atAuth(t, nil)
	good := l.take(l.a)
	sa := l.b.sessions[0].(*peer).sas[0]
	if sa.keys != nil {
		t.Error("the shared secret is computed before anything needs it")
	}
	var first *keys
	for i := range 1000 {
		bad := withOctet(good.Bytes, len(good.Bytes)-1-i%16, good.Bytes[len(good.Bytes)-1-i%16]^byte(1+i))
		l.arrive(l.a, bad)
		if first == nil {
			first = sa.keys
		}
		if i < maxBad-1 && (sa.keys != first || len(l.b.sessions) == 0) {
			t.Fatalf("after %d messages the keys are made again or the SA is gone", i+1)
		}
		if i >= maxBad-1 {
			l.empty(l.b)
		}
	}
	if len(l.b.queue) > 0 {
		t.Errorf("%d answers to garbage", len(l.b.queue))
	}
	l.heals()
}

// TestHurried is DOS-03 (RFC 8019 §5): while many are half-open, one that does not go on is forgotten after five seconds, and
// one that does is like any other.
func TestHurried(t *testing.T) {
	for _, late := range []bool{false, true} {
		l := newLab(t)
		l.b.cfg.Hurried = true
		l.initiate(l.a)
		l.deliver(l.a)
		if late {
			l.wait(hurriedLife+1, func() { l.a.queue, l.b.queue = nil, nil })
			l.empty(l.b)
			l.heals()
			continue
		}
		l.wait(hurriedLife-time.Second, func() { l.a.queue = nil })
		l.settle()
		l.wait(time.Minute, l.settle)
		l.unharmed()
	}
}

// drawn counts what is read of a source.
type drawn struct {
	from io.Reader
	n    int
}

func (d *drawn) Read(b []byte) (int, error) {
	n, err := d.from.Read(b)
	d.n += n
	return n, err
}

// TestDearestGroup is DOS-11: a stranger who insists on a group gets it only if it is configured. One that is not, a public
// value of another length, or a short nonce, costs not even a key pair, and no first request costs a shared secret.
func TestDearestGroup(t *testing.T) {
	const spi = 8
	for _, c := range []struct {
		name, theirs, ours string
		change             func(*wire.Message)
		want               wire.NotifyType
	}{
		{"a configured one", "ecp521", "curve25519-ecp521", nil, goesUp},
		{"one that is not configured", "modp4096", "curve25519", nil, wire.NotifyNoProposalChosen},
		{"one that is not configured beside one that is", "modp4096-curve25519", "curve25519", nil, wire.NotifyInvalidKEPayload},
		{"a public value too short", "modp4096", "modp4096", func(m *wire.Message) { ke := find[*wire.KE](m.Payloads); ke.Data = ke.Data[1:] }, wire.NotifyInvalidSyntax},
		{"a nonce too short", "ecp521", "ecp521", func(m *wire.Message) { n := find[*wire.Nonce](m.Payloads); n.Data = n.Data[:20] }, wire.NotifyInvalidSyntax},
	} {
		l := newLab(t)
		counted := &drawn{from: l.b.cfg.Rand}
		l.a.cfg.IKE, l.b.cfg.IKE, l.b.cfg.Rand = ikeProposals(t, "aes256gcm16-prfsha512-"+c.theirs), ikeProposals(t, "aes256gcm16-prfsha512-"+c.ours), counted
		l.initiate(l.a)
		if c.change != nil {
			l.editClear(l.a, c.change)
		}
		l.deliver(l.a)
		if c.want != goesUp {
			if got := says(l.answered(l.b)); got != c.want || counted.n > spi {
				t.Errorf("%s: answered %v, want %v, and drew %d random octets", c.name, got, c.want, counted.n)
			}
			l.empty(l.b)
			continue
		}
		if sa := l.b.sessions[0].(*peer).sas[0]; sa.keys != nil || counted.n < spi+nonceLen+66 {
			t.Errorf("%s: the shared secret is there before IKE_AUTH: %v; drew %d random octets", c.name, sa.keys != nil, counted.n)
		}
		l.settle()
		l.unharmed()
	}
}

// TestAnswersAreNoLongerThanRequests is DOS-05: before the initiator's address is proven no answer is longer than the
// request, and a responder sends nothing of its own accord (RFC 7296 §2.1).
func TestAnswersAreNoLongerThanRequests(t *testing.T) {
	prfKeys := map[string]int{defaultIKE: 32, "aes256-sha512-modp4096": 64, "aes256gcm16-prfsha512-ecp521": 64, "aes128-sha1-modp1024": 20, "chacha20poly1305-prfsha256-ecp384": 32}
	for text := range prfKeys {
		l := newLab(t)
		p, err := suite.ParseIKE(text)
		if err != nil {
			t.Fatal(err)
		}
		l.a.cfg.IKE, l.b.cfg.IKE = []suite.Proposal{p}, append(ikeProposals(t, "aes256-sha384-ecp256"), p)
		for name, change := range map[string]func(*wire.Message){
			"whole": func(*wire.Message) {},
			"as short as it can be": func(m *wire.Message) {
				m.Payloads = m.Payloads[:3]
				n := find[*wire.Nonce](m.Payloads)
				n.Data = n.Data[:max(16, prfKeys[text]/2)]
			},
			"with NAT detection alone": func(m *wire.Message) { m.Payloads = m.Payloads[:5] },
			"with fragmentation alone": func(m *wire.Message) { m.Payloads = slices.Delete(m.Payloads, 3, 5) },
		} {
			l.initiate(l.a)
			l.editClear(l.a, change)
			request := l.take(l.a)
			for range 3 { // the same again gets the same again
				l.arrive(l.a, request.Bytes)
				if len(l.b.queue) != 1 {
					t.Fatalf("%s, %s: %d answers to one request", text, name, len(l.b.queue))
				}
				if answer := l.take(l.b); len(answer.Bytes) > len(request.Bytes) {
					t.Errorf("%s, %s: %d octets answer %d", text, name, len(answer.Bytes), len(request.Bytes))
				}
			}
			l.wait(2*halfOpenLife, func() {
				if l.a.queue = nil; len(l.b.queue) > 0 {
					t.Fatalf("%s, %s: the responder sends by itself", text, name)
				}
			})
			l.empty(l.b)
		}
	}
}

// TestTooManyChildren is SM-11: a thousand requests for Child SAs make maxChildren and no more.
func TestTooManyChildren(t *testing.T) {
	l := connected(t)
	refused := 0
	for i := range 1000 {
		l.request(l.a, wire.CreateChildSA, l.childRequest(l.a, uint32(0x10000+i))...)
		if says(l.answered(l.b)) == wire.NotifyNoAdditionalSAs {
			refused++
		}
		l.mustStay(i)
	}
	if n := len(l.b.sa().children); n != maxChildren || refused != 1001-maxChildren {
		t.Errorf("%d Child SAs, %d requests refused", n, refused)
	}
}

// mustStay is mustBeSound without looking at all events each time.
func (l *lab) mustStay(i int) {
	l.t.Helper()
	if problem := l.sound(l.b); problem != "" {
		l.t.Fatalf("after %d: %s", i, problem)
	}
}

// TestRekeysWithoutEnd is DOS-08 within one session: a peer that rekeys as fast as it can, and deletes nothing or
// everything at once, keeps neither more IKE SAs nor more Child SAs alive than the limits say.
func TestRekeysWithoutEnd(t *testing.T) {
	l := connected(t)
	for i := range 100 {
		l.request(l.a, wire.CreateChildSA, l.ikeRequest(l.a, uint64(1000+i))...)
		answer := l.answered(l.b)
		if n := len(l.b.sessions[0].(*peer).sas); n > maxSAs {
			t.Fatalf("%d IKE SAs", n)
		}
		if says(answer) != wire.NotifyTemporaryFailure { // go on with the new one: only b's side of it is real
			l.a.sa().spiI, l.a.sa().spiR = l.b.sa().spiI, l.b.sa().spiR
			l.a.sa().keys, l.a.sa().nextOut, l.a.sa().initiator = l.b.sa().keys, 0, true
		} else if i < maxSAs-1 {
			t.Fatalf("refused after %d rekeys", i)
		}
		l.mustStay(i)
	}

	l = connected(t)
	for i := range 200 {
		old := l.b.sa().children[0]
		l.request(l.a, wire.CreateChildSA, append(l.childRequest(l.a, uint32(0x10000+i)), &wire.Notify{Protocol: wire.ProtoESP, SPI: spiBytes(old.out), Kind: wire.NotifyRekeySA})...)
		l.request(l.a, wire.Informational, &wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(old.out)}})
		l.b.queue = nil
		if n := len(l.b.children); n > 1+maxFading {
			t.Fatalf("%d Child SAs in the data path", n)
		}
		l.mustStay(i)
	}
	l.wait(fade+time.Second, func() { l.a.queue, l.b.queue = nil, nil })
	if n := len(l.b.children); n != 1 {
		t.Errorf("%d Child SAs are left", n)
	}
}

// TestCloseAtAnyMoment is SM-20, EV-31 and EV-36 (Libreswan's larval cuckoo): the operator takes the connection down at either end, or at
// both, with each message of a life on its way, loudly or not. Nothing is left anywhere.
func TestCloseAtAnyMoment(t *testing.T) {
	for _, m := range moments {
		for _, who := range []string{"a", "b", "ab"} {
			for _, quiet := range []bool{false, true} {
				for _, lose := range []bool{false, true} {
					name := fmt.Sprintf("%s on its way, %s closes, quiet %v, lost %v", m.name, who, quiet, lose)
					l, g := m.reach(t)
					if who == "b" && m.clear() {
						continue // a's first request, which comes again, is as good as new to it
					}
					for _, side := range []*gateway{l.a, l.b} {
						if who == "ab" || side.name == who {
							l.do(side, session.Close{Quiet: quiet})
							if n := len(side.children); n > 0 {
								t.Errorf("%s: %s still has %d Child SAs", name, side.name, n)
							}
						}
					}
					if lose {
						l.take(g)
					}
					l.settle()
					l.mustBeSound()
					l.wait(2*replacedLife, l.settle)
					for _, side := range []*gateway{l.a, l.b} {
						if l.empty(side); t.Failed() {
							t.Fatal(name)
						}
					}
				}
			}
		}
	}
}

// TestInitiateAtAnyMoment: an order to initiate comes with each message of a life on its way, once or thrice. It never makes
// a second IKE SA or Child SA where one is up or on its way.
func TestInitiateAtAnyMoment(t *testing.T) {
	for _, m := range moments {
		if m.name[:10] == "delete IKE" {
			continue // what comes then is a new one, and the old one goes
		}
		for _, who := range []string{"a", "b"} {
			l, _ := m.reach(t)
			g := l.a
			if who == "b" {
				g = l.b
			}
			if len(g.sessions) == 0 {
				continue // nobody but the engine could make one
			}
			for range 3 {
				l.initiate(g)
			}
			l.settle()
			l.wait(time.Minute, l.settle)
			l.unharmed()
			for _, side := range []*gateway{l.a, l.b} {
				if n := len(filter(side.events, session.IKEUp)); n != 1 || len(side.sessions) != 1 {
					t.Errorf("%s on its way, %s told to initiate: %d IKE SAs came up at %s", m.name, who, n, side.name)
				}
			}
		}
	}
}

// TestPublicValueOfSmallOrder is CRY-01 at the SA: a first request with a public value that gives no secret costs nothing
// until IKE_AUTH comes, and then the SA is gone, whatever is in that.
func TestPublicValueOfSmallOrder(t *testing.T) {
	for name, first := range map[string]byte{"zero": 0, "one": 1} {
		l := newLab(t)
		l.initiate(l.a)
		l.sayClear(l.a, func(m *wire.Message) {
			ke := find[*wire.KE](m.Payloads)
			clear(ke.Data)
			ke.Data[0] = first
		})
		l.deliver(l.a)
		l.deliver(l.b)
		for range 2 {
			if len(l.a.queue) > 0 {
				l.deliver(l.a)
			}
			if len(l.b.queue) > 0 {
				t.Errorf("%s: b answers", name)
			}
			l.empty(l.b)
		}
		if len(filter(l.b.events, session.IKEUp)) > 0 {
			t.Errorf("%s: an IKE SA is up", name)
		}
		l.mustBeSound()
	}
}
