package ike

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// silent accepts a first message, claims spi and says nothing.
func silent(spi uint64) func([]Peer) session.Session {
	return func([]Peer) session.Session {
		return &script{receive: func(time.Time, []byte, esp.Path) session.Output {
			return session.Output{Claim: []uint64{spi}}
		}}
	}
}

// MAL-01, MAL-02: whatever the length says, and however short the message is, it is dropped and nothing else happens.
func TestDropsWhatIsNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, nil, silent(7)).run(t)
		good := firstRequest(1, make([]byte, 32), nil)
		want := uint64(0)
		for n := range wire.HeaderLen {
			b.deliver(packet{good[:n], from("192.0.2.1:500")})
			want++
		}
		for _, length := range []uint32{0, 27, 28, uint32(len(good)) - 1, uint32(len(good)) + 1, 0xffffffff} {
			bad := append([]byte(nil), good...)
			binary.BigEndian.PutUint32(bad[24:], length)
			b.deliver(packet{bad, from("192.0.2.1:500")})
			want++
		}
		b.deliver(packet{firstRequest(0, make([]byte, 32), nil), from("192.0.2.1:500")}) // SM-19: no initiator's SPI
		b.wantDrops(t, map[string]uint64{"malformed": want + 1})
		if c := b.Counters(); c.Sessions != 0 || len(b.take()) != 0 {
			t.Errorf("%d sessions or an answer made of nothing", c.Sessions)
		}
		b.deliver(packet{good, from("192.0.2.1:500")}) // show that it was the length that mattered
		if c := b.Counters(); c.Sessions != 1 {
			t.Errorf("the whole message made %d sessions, want 1", c.Sessions)
		}
	})
}

// MAL-04, N-04 (RFC 7296 §2.5): a higher major version is told so, once a second at most, in a request only; a lower one
// is not; the minor version means nothing.
func TestVersions(t *testing.T) {
	type versionCase struct {
		name    string
		version wire.Version
		flags   wire.Flags
		drops   map[string]uint64
		answers int
	}
	wrong := map[string]uint64{"version": 2}
	cases := []versionCase{
		{"IKEv1", wire.V1, wire.FlagInitiator, wrong, 0},
		{"version 0", 0, wire.FlagInitiator, wrong, 0},
		{"version 2.5", 0x25, wire.FlagInitiator, map[string]uint64{}, 0},
		{"version 2.15", 0x2f, wire.FlagInitiator, map[string]uint64{}, 0},
	}
	for major := range 16 {
		version, higher := wire.Version(major<<4|major), 0
		if major == 2 {
			continue
		} else if major > 2 {
			higher = 1
		}
		cases = append(cases, versionCase{fmt.Sprintf("version %d", major), version, wire.FlagInitiator, wrong, higher},
			versionCase{fmt.Sprintf("version %d, a response", major), version, wire.FlagResponse, wrong, 0},
			versionCase{fmt.Sprintf("version %d, a response of the initiator's", major), version, wire.FlagInitiator | wire.FlagResponse, wrong, 0})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(Config{Peers: []Peer{peer("a/1")}}, nil, silent(7)).run(t)
				msg := padded(wire.Header{SPIi: 9, Exchange: wire.IKESAInit, Flags: c.flags})
				msg[17] = byte(c.version)
				b.deliver(packet{msg, from("192.0.2.1:500")}, packet{msg, from("192.0.2.1:500")})
				b.wantDrops(t, c.drops)
				sent := b.take()
				if len(sent) != c.answers {
					t.Fatalf("%d answers, want %d", len(sent), c.answers)
				}
				for _, p := range sent {
					if n := notifyIn(t, p); n.Kind != wire.NotifyInvalidMajorVersion {
						t.Errorf("answered %v", n.Kind)
					}
					if h, _ := wire.ParseHeader(p.b); h.Version != wire.V2 || h.SPIi != 9 {
						t.Errorf("the answer says version %#x, SPI %d; want the version we speak and the request's SPI", h.Version, h.SPIi)
					}
				}
			})
		})
	}
}

// SM-15, RFC 7296 §2.5: what claims to be IKEv1's answer to our first message is dropped before any session sees it, and
// nothing of IKEv1 is ever sent; that the peer could speak a higher version means nothing.
func TestNoFallbackToIKEv1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ours = 0x1122334455667788
		received := 0
		request := firstRequest(ours, make([]byte, 32), nil)
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, func(Peer) session.Session {
			return &script{
				do: func(_ time.Time, cmd session.Command) session.Output {
					return session.Output{Claim: []uint64{ours}, Send: []session.Datagram{{Bytes: request, Path: from("192.0.2.1:500")}}}
				},
				receive: func(time.Time, []byte, esp.Path) session.Output { received++; return session.Output{} },
			}
		}, nil).run(t)
		b.Do("a/1", session.Initiate{})
		synctest.Wait()
		dropped := uint64(0)
		for exchange := range 256 { // Main Mode is 2, Aggressive 4, Informational 5
			for _, flags := range []wire.Flags{0, 1, wire.FlagInitiator, wire.FlagResponse} {
				msg := padded(wire.Header{SPIi: ours, SPIr: 9, Version: wire.V1, Exchange: wire.ExchangeType(exchange), Flags: flags, Next: 1})
				b.deliver(packet{msg, from("192.0.2.1:500")})
				dropped++
			}
		}
		b.wantDrops(t, map[string]uint64{"version": dropped})
		if received != 0 {
			t.Errorf("the session was given %d messages of IKEv1", received)
		}
		b.deliver(packet{padded(wire.Header{SPIi: ours, SPIr: 9, Exchange: wire.IKESAInit, Flags: wire.FlagResponse | wire.FlagVersion}), from("192.0.2.1:500")})
		if received != 1 {
			t.Error("an answer with the version flag was not given to its session")
		}
		for _, p := range b.take() {
			if h, err := wire.ParseHeader(p.b); err != nil || h.Version.Major() != 2 {
				t.Errorf("sent version %v: %v", h.Version.Major(), err)
			}
		}
	})
}

// SM-19: the sender's role says which SPI is ours; the address says nothing.
func TestFindsSessionsByOurSPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ours = 0x1122334455667788
		var got []wire.Header
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, func(Peer) session.Session {
			return &script{
				do: func(_ time.Time, cmd session.Command) session.Output {
					return session.Output{Claim: []uint64{ours}}
				},
				receive: func(_ time.Time, msg []byte, _ esp.Path) session.Output {
					h, _ := wire.ParseHeader(msg)
					got = append(got, h)
					return session.Output{}
				},
			}
		}, nil).run(t)
		b.Do("a/1", session.Initiate{})
		synctest.Wait()
		b.deliver(
			packet{message(wire.Header{SPIi: ours, SPIr: 5, Exchange: wire.Informational, Flags: wire.FlagResponse, MessageID: 1}), from("192.0.2.1:500")},
			packet{message(wire.Header{SPIi: ours, SPIr: 5, Exchange: wire.Informational, MessageID: 2}), from("192.0.2.77:4500")},
			packet{message(wire.Header{SPIi: 5, SPIr: ours, Exchange: wire.Informational, Flags: wire.FlagInitiator, MessageID: 3}), from("192.0.2.1:500")},
			packet{message(wire.Header{SPIi: 5, SPIr: ours, Exchange: wire.Informational, MessageID: 4}), from("192.0.2.1:500")},
			packet{message(wire.Header{SPIi: ours, SPIr: 5, Exchange: wire.Informational, Flags: wire.FlagInitiator, MessageID: 5}), from("192.0.2.1:500")},
		)
		var ids []uint32
		for _, h := range got {
			ids = append(ids, h.MessageID)
		}
		if len(ids) != 3 || ids[0] != 1 || ids[1] != 2 || ids[2] != 3 {
			t.Errorf("the session received messages %v, want 1 2 3", ids)
		}
		b.wantDrops(t, map[string]uint64{"unknown_spi": 2})
	})
}

// N-26, N-62 (RFC 7296 §1.5, §2.11, §2.21.4): an unknown SPI is answered only in a request that is longer, once a second, and
// where the request came from.
func TestUnknownSPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{}, nil, nil).run(t)
		short := message(wire.Header{SPIi: 3, SPIr: 4, Exchange: wire.Informational, Flags: wire.FlagInitiator})
		b.deliver(packet{short, from("192.0.2.1:500")})
		time.Sleep(time.Second)
		response := padded(wire.Header{SPIi: 3, SPIr: 4, Exchange: wire.Informational, Flags: wire.FlagInitiator | wire.FlagResponse})
		b.deliver(packet{response, from("192.0.2.1:500")})
		if sent := b.take(); len(sent) != 0 {
			t.Fatalf("%d answers to a message shorter than one and to a response, want none", len(sent))
		}
		request := padded(wire.Header{SPIi: 3, SPIr: 4, Exchange: wire.Informational, Flags: wire.FlagInitiator, MessageID: 6})
		for range 100 {
			b.deliver(packet{request, from("192.0.2.1:4500")})
		}
		sent := b.take()
		if len(sent) != 1 {
			t.Fatalf("%d answers to 100 requests in one instant, want 1", len(sent))
		}
		if n := notifyIn(t, sent[0]); n.Kind != wire.NotifyInvalidIKESPI || sent[0].on != from("192.0.2.1:4500") {
			t.Errorf("answered %v on %v", n.Kind, sent[0].on)
		}
		if h, _ := wire.ParseHeader(sent[0].b); h.SPIi != 3 || h.SPIr != 4 || h.MessageID != 6 || h.Exchange != wire.Informational || h.Initiator() {
			t.Errorf("the answer's header is %+v, want the request's with our role", h)
		}
	})
}

// MAL-24: what looks like the first message of an IKE SA but cannot be.
func TestOddFirstRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, nil, silent(7)).run(t)
		for _, h := range []wire.Header{
			{SPIi: 1, Flags: wire.FlagInitiator, MessageID: 1},
			{SPIi: 1, Flags: wire.FlagInitiator, SPIr: 99},
			{SPIi: 1, Flags: wire.FlagInitiator | wire.FlagResponse},
			{SPIi: 1, Flags: wire.FlagResponse},
			{SPIi: 1},
		} {
			h.Exchange = wire.IKESAInit
			b.deliver(packet{padded(h), from("192.0.2.1:500")})
		}
		b.wantDrops(t, map[string]uint64{"unexpected": 5})
		if c := b.Counters(); c.Sessions != 0 || len(b.take()) != 0 {
			t.Errorf("%d sessions or an answer, want neither", c.Sessions)
		}
	})
}

// RFC 7296 §2.1: the first request that comes again goes to the session that answered it; the same SPI from another
// address is another peer.
func TestRepeatedFirstRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, received := 0, 0
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, nil, func([]Peer) session.Session {
			made++
			return &script{receive: func(time.Time, []byte, esp.Path) session.Output { received++; return session.Output{} }}
		}).run(t)
		first := firstRequest(1, make([]byte, 32), nil)
		b.deliver(packet{first, from("192.0.2.1:500")}, packet{first, from("192.0.2.1:500")}, packet{first, from("192.0.2.2:500")})
		if made != 2 || received != 3 {
			t.Errorf("%d sessions received %d messages, want 2 and 3", made, received)
		}
	})
}

// A peer that is not admitted hears nothing, costs no session, and is told from the others at its address by its name alone.
func TestBarredPeerHearsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var who []string
		b := newBench(Config{Peers: []Peer{peer("a/1", "192.0.2.1"), peer("b/1", "192.0.2.1")}}, nil, func(candidates []Peer) session.Session {
			who = nil
			for _, p := range candidates {
				who = append(who, p.Peer)
			}
			return silent(7)(candidates)
		}).run(t)
		begin := func(spi uint64) {
			b.deliver(packet{firstRequest(spi, make([]byte, 32), nil), from("192.0.2.1:500")})
		}
		b.Admit("a/1", false)
		if begin(1); !slices.Equal(who, []string{"b/1"}) {
			t.Errorf("it may be %v, want b/1 alone", who)
		}
		b.Admit("b/1", false)
		begin(2)
		b.wantDrops(t, map[string]uint64{"admin_down": 1})
		if c, sent := b.Counters(), b.take(); c.Sessions != 1 || len(sent) != 0 {
			t.Errorf("%d sessions, %d answers; want the one from before and none", c.Sessions, len(sent))
		}
		b.Admit("a/1", true)
		if begin(3); !slices.Equal(who, []string{"a/1"}) {
			t.Errorf("it may be %v, want a/1 again", who)
		}
	})
}

func TestUnknownPeerIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1", "192.0.2.1")}}, nil, silent(7)).run(t)
		for i := range uint64(100) { // from many addresses, so that no source is too fast
			on := from("198.51.100.1:500")
			on.Remote = addrPort(198, 51, 100, byte(i), 500)
			b.deliver(packet{firstRequest(i+1, make([]byte, 32), nil), on})
		}
		b.wantDrops(t, map[string]uint64{"unknown_peer": 100})
		sent := b.take()
		if len(sent) != 10 {
			t.Errorf("%d answers in one instant, want 10", len(sent))
		}
		for _, p := range sent {
			if n := notifyIn(t, p); n.Kind != wire.NotifyNoProposalChosen {
				t.Errorf("answered %v", n.Kind)
			}
		}
		if c := b.Counters(); c.Sessions != 0 {
			t.Errorf("%d sessions for strangers", c.Sessions)
		}
	})
}

// DOS-05: to whoever has not proven its address, no answer is longer, and there are not more answers than questions.
func TestAnswersNeverExceedQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1", "192.0.2.1")}, Limits: Limits{CookieThreshold: 1, IKEPerSourceRPS: 1000}}, nil, silent(7)).run(t)
		for exchange := range 256 {
			for _, flags := range []wire.Flags{0, wire.FlagInitiator, wire.FlagResponse, wire.FlagInitiator | wire.FlagResponse} {
				for _, version := range []wire.Version{wire.V1, wire.V2, 0x30} {
					h := wire.Header{SPIi: 1, SPIr: 2, Version: version, Exchange: wire.ExchangeType(exchange), Flags: flags}
					for _, question := range [][]byte{message(h), padded(h)} {
						b.deliver(packet{question, from("192.0.2.1:500")})
						for i, p := range b.take() {
							if i > 0 || len(p.b) > len(question) {
								t.Fatalf("%+v: %d octets answered to %d, answer %d", h, len(p.b), len(question), i+1)
							}
						}
						time.Sleep(time.Second)
					}
				}
			}
		}
		if b.Counters().Sent["other"] == 0 {
			t.Error("nothing was ever answered: the test shows nothing")
		}
	})
}

// A shard that cannot keep up loses messages, counted, and the demultiplexer goes on.
func TestInboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		received := 0
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, func(Peer) session.Session {
			return &script{
				do: func(time.Time, session.Command) session.Output { return session.Output{Claim: []uint64{7}} },
				receive: func(time.Time, []byte, esp.Path) session.Output {
					<-hold
					received++
					return session.Output{}
				},
			}
		}, nil).run(t)
		b.Do("a/1", session.Initiate{})
		synctest.Wait()
		msg := packet{message(wire.Header{SPIi: 7, SPIr: 1, Exchange: wire.Informational}), from("192.0.2.1:500")}
		b.deliver(msg) // the shard sits in this one
		for range inboxSize + 10 {
			b.deliver(msg)
		}
		b.wantDrops(t, map[string]uint64{"inbox_full": 10})
		close(hold)
		synctest.Wait()
		if received != inboxSize+1 {
			t.Errorf("the session received %d messages, want %d", received, inboxSize+1)
		}
	})
}

// hardening: a fault in reading a message costs that message.
func TestFaultInDemultiplexer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, nil, silent(7))
		b.peers = nil // any match is a nil dereference
		b.run(t)
		b.deliver(packet{firstRequest(1, make([]byte, 32), nil), from("192.0.2.1:500")}, packet{[]byte{1}, from("192.0.2.1:500")})
		b.wantDrops(t, map[string]uint64{"fault": 1, "malformed": 1})
		if c := b.Counters(); c.Panics != 1 {
			t.Errorf("%d faults counted, want 1", c.Panics)
		}
	})
}

func TestRunReportsTheConnsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{}, nil, nil).run(t)
		close(b.in)
		if err := <-b.ran; err == nil {
			t.Error("the Conn ended before the context, and Run said nothing")
		}
		b.in = nil
		b.stop()
	})
}
