package datapath

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
)

// What a way does to packets: it loses some, brings some twice, and some late. What is taken and what is counted as a replay is, to
// the packet, what a set and a highest number say (RFC 4303 §3.4.3; RPL-01, EV-08), whether they come in runs or alone. The window doubles
// when a packet comes from its older half, and what was too old stays so (F20).
func TestDisorderOnTheWay(t *testing.T) {
	const (
		packets = 2000
		first   = 1024 // the window of newBench
	)
	for seed := range uint64(2) {
		for _, alg := range []*protect.Algorithm{protect.AES128GCM16, protect.CBC(128, protect.HMACSHA256)} {
			random := rand.New(rand.NewPCG(seed, seed))
			b := newInBench(t, alg)
			type arrival struct {
				seq, at int
				wire    []byte
			}
			var all []arrival
			inner := make([][]byte, packets+1)
			for seq := 1; seq <= packets; seq++ {
				size := 1300
				if random.IntN(10) == 0 { // a run ends here
					size = 50 + random.IntN(400)
				}
				inner[seq] = serial(t, seq, size)
				wire := b.sealed(t, inner[seq])
				for _, copies := range []bool{random.IntN(20) != 0, random.IntN(20) == 0} {
					if !copies {
						continue
					}
					late := 0
					if random.IntN(4) == 0 {
						late = random.IntN(3 * first / 2)
					}
					all = append(all, arrival{seq, seq + late, wire})
				}
			}
			slices.SortStableFunc(all, func(x, y arrival) int { return cmp.Compare(x.at, y.at) })

			var want [][]byte
			var replays uint64
			highest, seen := 0, map[int]bool{}
			window, tooOld := first, 0
			for len(all) > 0 {
				stride, run := len(all[0].wire), 1
				for most := min(len(all), 1+random.IntN(transport.MaxRunLen/stride)); run < most && len(all[run-1].wire) == stride && len(all[run].wire) <= stride; run++ {
				}
				m := transport.Message{Stride: stride}
				for _, a := range all[:run] {
					m.Buf = append(m.Buf, a.wire...)
				}
				m.N = len(m.Buf)
				b.recv.begin(1)
				b.recv.message(&m)
				b.recv.end()

				// A run is taken in the order of its numbers: what came late by less than that is not late.
				slices.SortStableFunc(all[:run], func(x, y arrival) int { return cmp.Compare(x.seq, y.seq) })
				for _, a := range all[:run] {
					if seen[a.seq] || highest-a.seq >= window || a.seq <= tooOld {
						replays++
						continue
					}
					seen[a.seq], highest = true, max(highest, a.seq)
					if highest-a.seq >= window/2 {
						tooOld = max(tooOld, highest-window)
						window *= 2
					}
					want = append(want, inner[a.seq])
				}
				all = all[run:]
			}
			equal(t, "the inside", withoutID(allSegments(t, b.got)), withoutID(want))
			if got := b.g.Drops(); len(got) != 1 || got["replay"] != replays {
				t.Errorf("seed %d, %s: dropped %v, want %d replays", seed, alg.Name, got, replays)
			}
			if got := b.g.Traffic("hq/1").RxPackets; got != uint64(len(want)) {
				t.Errorf("seed %d, %s: %d packets counted, want %d", seed, alg.Name, got, len(want))
			}
		}
	}
}

// withoutID clears the identification of packets, which may differ where there is DF (RFC 6864 §4.1).
func withoutID(packets [][]byte) [][]byte {
	for _, b := range packets {
		put16(b, 4, 0)
		rehash(b)
	}
	return packets
}

// serial is a UDP packet from behind the peer with a number and a right checksum, so that it can be joined with others.
func serial(t *testing.T, n, size int) []byte {
	b := segments(t, superpacket(hq, paris, protoUDP, size, size, 0))[0]
	binary.BigEndian.PutUint64(b[28:], uint64(n))
	put16(b, 26, 0)
	put16(b, 26, int(upperChecksum(b, protoUDP, len(b)-20)))
	return b
}

// Whatever a batch holds, its packets leave in the order of their numbers: nothing of it is late at a peer whose window has 32
// (RFC 4303 §3.4.3).
func TestASmallWindowLosesNothingOfABatch(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		random := rand.New(rand.NewPCG(1, 2))
		var want [][]byte
		for range 30 {
			for range random.IntN(8) {
				f := superpacket(paris, hq, protoTCP, 100+random.IntN(40000), 1+random.IntN(1350), tcpACK)
				want = append(want, segments(t, f)...)
				g := *f
				g.Buf = bytes.Clone(f.Buf)
				s.fake.Super <- g
			}
			for range random.IntN(8) {
				pkt := udp(paris, hq, 7, 8, random.IntN(1300))
				want = append(want, pkt)
				s.fake.Out <- pkt
			}
			s.l.settle()
		}
		got, raw := p.take()
		if len(got) != len(want) {
			t.Errorf("%d packets, want %d", len(got), len(want))
		}
		for i := 1; i < len(raw); i++ {
			if before, now := binary.BigEndian.Uint32(raw[i-1][4:]), binary.BigEndian.Uint32(raw[i][4:]); now != before+1 {
				t.Fatalf("number %d came behind %d", now, before)
			}
		}
	})
}
