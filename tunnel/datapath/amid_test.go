package datapath

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"

	"twinbore/esp"
	"twinbore/esp/protect"
)

// protections are one of each way to protect packets.
var protections = []*protect.Algorithm{protect.AES128GCM16, protect.ChaCha20Poly1305, protect.CBC(128, protect.HMACSHA256)}

// A far is the peer's end of one inbound SA of a bench, which can seal what an honest end does not.
type far struct {
	t   testing.TB
	out *esp.Outbound
	alg *protect.Algorithm
	key []byte
	spi esp.SPI
}

// farEnd is that of the SA that a bench has from the start.
func (b *bench) farEnd(t testing.TB) far {
	alg := b.far.Algorithm()
	return far{t, b.far, alg, key(alg, 1), esp.SPI(b.id)}
}

// another installs one more SA of a tunnel, which takes no outbound traffic.
func (b *bench) another(t testing.TB, tunnel string, seed byte, local, remote []esp.Selector) far {
	t.Helper()
	alg, spi := b.far.Algorithm(), b.g.AllocSPI()
	in := esp.Params{SPI: spi, Algorithm: alg, Key: key(alg, seed), Window: 1024}
	at := netip.AddrPortFrom(addr("192.0.2.1"), b.port)
	if err := b.g.Install(esp.Child{ID: esp.ChildID(spi), Peer: tunnel, In: in, Out: esp.Params{SPI: 4712, Algorithm: alg, Key: key(alg, seed+1)},
		Local: local, Remote: remote, Path: esp.Path{Local: at, Remote: netip.AddrPortFrom(addr("198.51.100.1"), b.port)}}); err != nil {
		t.Fatal(err)
	}
	out, err := esp.NewOutbound(in, esp.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return far{t, out, alg, key(alg, seed), spi}
}

// A ledger says how the counts of a bench have grown since it was last asked.
type ledger struct {
	b       *bench
	drops   map[string]uint64
	tunnel  map[string]uint64 // drops of hq/1
	packets uint64            // of hq/1
}

func (l *ledger) grown() (drops, tunnel map[string]uint64, packets uint64) {
	since := func(now, before map[string]uint64) map[string]uint64 {
		out := map[string]uint64{}
		for reason, n := range now {
			if n != before[reason] {
				out[reason] = n - before[reason]
			}
		}
		return out
	}
	now, traffic := l.b.g.Drops(), l.b.g.Traffic("hq/1")
	drops, tunnel, packets = since(now, l.drops), since(traffic.Drops, l.tunnel), traffic.RxPackets-l.packets
	l.drops, l.tunnel, l.packets = now, traffic.Drops, traffic.RxPackets
	return drops, tunnel, packets
}

// seal seals a packet as it should be.
func (f far) seal(pkt []byte) []byte { return f.sealAs(pkt, nextOf(pkt)) }

func (f far) sealAs(pkt []byte, next uint8) []byte {
	f.t.Helper()
	b, err := f.out.Seal(nil, pkt, next)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// raw seals a plaintext with whatever padding it has, under the next number.
func (f far) raw(plaintext []byte) []byte {
	f.t.Helper()
	seq, _, err := f.out.Reserve(1, 0, 1)
	if err != nil {
		f.t.Fatal(err)
	}
	p, err := f.alg.New(f.key)
	if err != nil {
		f.t.Fatal(err)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(f.spi))
	b = binary.BigEndian.AppendUint32(b, uint32(seq))
	aad := bytes.Clone(b)
	iv := make([]byte, f.alg.IVLen)
	binary.BigEndian.PutUint64(iv, seq)
	return p.Seal(append(b, iv...), iv, plaintext, aad, nil)
}

// padded is a packet with the padding of RFC 4303 §2.4 and its trailer.
func (f far) padded(pkt []byte, next uint8) []byte {
	n := -(len(pkt) + 2) & (max(4, f.alg.Block) - 1)
	out := bytes.Clone(pkt)
	for i := range n {
		out = append(out, byte(i+1))
	}
	return append(out, byte(n), next)
}

// An intruder is what an enemy, a broken peer or the network puts among good packets: like the others it is as long as those,
// so that the kernel puts it into the middle of a run.
type intruder struct {
	name   string
	make   func(b *bench, f far, like []byte) []byte
	reason string // the one drop that is counted; empty: none
	tunnel bool   // the drop is the tunnel's; else it is the gateway's
}

// spoiled seals a packet like the others and spoils an octet, from the end if at is below zero.
func spoiled(at int) func(*bench, far, []byte) []byte {
	return func(_ *bench, f far, like []byte) []byte {
		b := f.seal(like)
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		return b
	}
}

// inner seals a changed copy of a packet, with its checksums as they were unless they are mended.
func inner(change func(b []byte)) func(*bench, far, []byte) []byte {
	return func(_ *bench, f far, like []byte) []byte {
		b := bytes.Clone(like)
		change(b)
		return f.raw(f.padded(b, esp.NextIPv4))
	}
}

// plain seals the plaintext of a packet after a change: padding and trailer included.
func plain(change func(b []byte)) func(*bench, far, []byte) []byte {
	return func(_ *bench, f far, like []byte) []byte {
		b := f.padded(like, esp.NextIPv4)
		change(b)
		return f.raw(b)
	}
}

func intruders() []intruder {
	withSPI := func(spi uint32) func(*bench, far, []byte) []byte {
		return func(_ *bench, f far, like []byte) []byte {
			b := f.seal(like)
			binary.BigEndian.PutUint32(b, spi)
			return b
		}
	}
	addrTo := func(at int, a string) func([]byte) {
		return func(b []byte) { copy(b[at:], addr(a).AsSlice()); mend(b) }
	}
	return []intruder{
		{"forged in the number", spoiled(6), "auth", true},
		{"forged, far ahead", func(_ *bench, f far, like []byte) []byte { // RPL-02
			b := f.seal(like)
			binary.BigEndian.PutUint32(b[4:], 0x7fffffff)
			return b
		}, "auth", true},
		{"forged in the IV or behind it", spoiled(9), "auth", true},
		{"forged in the middle", spoiled(60), "auth", true},
		{"forged in the tag", spoiled(-1), "auth", true},
		{"of no SA", withSPI(0xdeadbeef), "unknown_spi", false},
		{"with the SPI 255", withSPI(255), "malformed", false},
		{"with the SPI 1", withSPI(1), "malformed", false},
		{"with the SPI 0, which is IKE", withSPI(0), "", false},
		{"number 0", func(_ *bench, f far, like []byte) []byte { b := f.seal(like); put16(b, 4, 0); put16(b, 6, 0); return b }, "replay", true},
		{"a pad length beyond the packet", plain(func(b []byte) { b[len(b)-2] = 255 }), "malformed", true},
		{"a pad length of one octet too much", plain(func(b []byte) { b[len(b)-2] = byte(len(b) - 1) }), "malformed", true},
		{"padding that is not 1, 2, 3", plain(func(b []byte) { b[len(b)-2] = 3; b[len(b)-3], b[len(b)-4], b[len(b)-5] = 7, 7, 7 }), "malformed", true},
		{"a dummy", plain(func(b []byte) { b[len(b)-1] = protoNoNext }), "dummy", true},
		{"said to be IPv6", plain(func(b []byte) { b[len(b)-1] = esp.NextIPv6 }), "inner", true},
		{"transport mode", plain(func(b []byte) { b[len(b)-1] = protoTCP }), "inner", true},
		{"next header 255", plain(func(b []byte) { b[len(b)-1] = 255 }), "inner", true},
		{"IHL 4", inner(func(b []byte) { b[0] = 0x44 }), "inner", true},
		{"version 0", inner(func(b []byte) { b[0] = 0x05 }), "inner", true},
		{"version 5", inner(func(b []byte) { b[0] = 0x55 }), "inner", true},
		{"version 6 in a packet said to be IPv4", inner(func(b []byte) { b[0] = 0x65 }), "inner", true},
		{"total length above the data", inner(func(b []byte) { put16(b, 2, len(b)+40) }), "inner", true},
		{"total length below the header", inner(func(b []byte) { put16(b, 2, 19) }), "inner", true},
		{"a source that is not the peer's", inner(addrTo(12, elsewhere)), "spoofed", true},
		{"our own network as source", inner(addrTo(12, "10.1.7.7")), "spoofed", true},
		{"ourselves as source", inner(addrTo(12, gatewayItself)), "spoofed", true},
		{"loopback as source", inner(addrTo(12, "127.0.0.1")), "spoofed", true},
		{"a group as source", inner(addrTo(12, "224.0.0.1")), "spoofed", true},
		{"nobody as source", inner(addrTo(12, "0.0.0.0")), "spoofed", true},
		{"link-local as source", inner(addrTo(12, "169.254.9.9")), "spoofed", true},
		{"the internet as destination", inner(addrTo(16, internet)), "no_route", true},
		{"another connection as destination", inner(addrTo(16, elsewhere)), "no_route", true},
		{"our own port of IKE", inner(func(b []byte) {
			b[9] = protoUDP
			copy(b[16:], addr(gatewayItself).AsSlice())
			put16(b, 22, 4500)
			put16(b, 24, len(b)-20)
			mend(b)
		}), "policy", true},
	}
}

// TestIntruderAmidARun puts each intruder at the beginning, into the middle and at the end of a run of one flow, which the
// kernel hands over in one piece: it is counted once, for its reason and at its tunnel, every neighbour is delivered, and
// afterwards the window knows exactly the authentic ones (ESP-01, ESP-02, ESP-03, ESP-04,
// ESP-08, RPL-01, RPL-02, TS-04, TS-05, TS-07, CRY-07).
func TestIntruderAmidARun(t *testing.T) {
	const n = 6
	for _, alg := range protections {
		good := segments(t, inSuper(n*100, 100, tcpACK, timestamps...))
		b := newInBench(t, alg)
		f, books := b.farEnd(t), ledger{b: b}
		for _, in := range intruders() {
			for _, place := range []int{0, n / 2, n} {
				name := fmt.Sprintf("%s, %s in place %d", alg.Name, in.name, place)
				var run, honest [][]byte
				for i := range n + 1 {
					if i == place {
						run = append(run, in.make(b, f, good[0]))
					}
					if i < n {
						run = append(run, f.seal(good[i]))
						honest = append(honest, run[len(run)-1])
					}
				}
				if len(runsOf(run)) != 1 {
					t.Fatalf("%s: is not as long as the others", name)
				}
				honest = cloneAll(honest)
				equal(t, name, allSegments(t, b.arrive(run...)), good)
				want := map[string]uint64{}
				if in.reason != "" {
					want[in.reason] = 1
				}
				drops, tunnel, packets := books.grown()
				if !maps.Equal(drops, want) || in.tunnel && !maps.Equal(tunnel, want) || !in.tunnel && len(tunnel) > 0 || packets != n {
					t.Errorf("%s: dropped %v, %v of them the tunnel's, which has %d packets; want %v", name, drops, tunnel, packets, want)
				}
				if again := b.arrive(honest...); len(again) != 0 {
					t.Errorf("%s: %d frames of packets that come again", name, len(again))
				}
				if len(b.arrive(f.seal(good[0]))) != 1 {
					t.Errorf("%s: the next packet is not taken", name)
				}
				if drops, _, _ := books.grown(); !maps.Equal(drops, map[string]uint64{"replay": n}) {
					t.Errorf("%s: then dropped %v, want %d that come again", name, drops, n)
				}
			}
		}
	}
}

// TestSelectorsAmidARun is TS-04 in runs: the SA is for one port, and its run has others, fragments and an error about somebody
// else's packets in the middle.
func TestSelectorsAmidARun(t *testing.T) {
	for _, alg := range protections {
		good := segments(t, inSuper(600, 100, tcpACK))
		web := []esp.Selector{selector("10.2.0.0/16", protoTCP, 5001, 5001)}
		for name, odd := range map[string][]byte{
			"another port":     func() []byte { b := bytes.Clone(good[0]); put16(b, 20, 5002); mend(b); return b }(),
			"another protocol": func() []byte { b := bytes.Clone(good[0]); b[9] = 99; rehash(b); return b }(),
			"a later fragment": fragment(good[0], 64, false),
			"an ICMP error about another port": func() []byte {
				b := unreachable(hq, paris, tcp(paris, hq, 1, 22, tcpACK))
				b = append(b, make([]byte, len(good[0])-len(b))...)
				put16(b, 2, len(b))
				return rehash(b)
			}(),
		} {
			b := newInBench(t, alg)
			f := b.another(t, "hq/1", 77, anySelectors, web)
			run := [][]byte{f.seal(good[0]), f.seal(good[1]), f.seal(odd), f.seal(good[2]), f.seal(odd), f.seal(good[3])}
			if len(runsOf(run)) != 1 {
				t.Fatalf("%s is not as long as the others", name)
			}
			equal(t, name, allSegments(t, b.arrive(run...)), good[:4])
			if drops := b.g.Drops(); !maps.Equal(drops, map[string]uint64{"ts": 2}) {
				t.Errorf("%s, %s: dropped %v", alg.Name, name, drops)
			}
		}
	}
}

// TestRunsOfEveryLength is ESP-01: runs of datagrams that begin with an SPI of ours and are too short for a packet, from one octet
// on, and a run whose last datagram is cut at every length.
func TestRunsOfEveryLength(t *testing.T) {
	for _, alg := range protections {
		good := segments(t, inSuper(300, 100, tcpACK))
		b := newInBench(t, alg)
		f, books := b.farEnd(t), ledger{b: b}
		whole := len(f.seal(good[0]))
		for n := 1; n < esp.Headroom(alg)+alg.TagLen+2; n++ {
			got := b.arrive(f.seal(good[0])[:n], f.seal(good[1])[:n], f.seal(good[2])[:n])
			if drops, _, _ := books.grown(); len(got) != 0 || !maps.Equal(drops, map[string]uint64{"malformed": 3}) {
				t.Errorf("%s: three of %d octets: %d frames, dropped %v", alg.Name, n, len(got), drops)
			}
		}
		for n := 1; n < whole; n++ {
			got := b.arrive(f.seal(good[0]), f.seal(good[1]), f.seal(good[2])[:n])
			equal(t, fmt.Sprintf("%s, the last cut to %d", alg.Name, n), allSegments(t, got), good[:2])
			if drops, _, _ := books.grown(); drops["malformed"]+drops["auth"] != 1 || len(drops) != 1 {
				t.Errorf("%s: the last cut to %d octets: dropped %v", alg.Name, n, drops)
			}
		}
	}
}

// TestMixedRuns plays random batches of three SAs, of two tunnels and of another connection, whose packets the kernel has put
// together as they came, of any sizes, with forged, repeated, foreign and swapped ones among them. What becomes of each is
// known beforehand, and all counts are exact (ESP-01, ESP-04, RPL-01, RPL-02, TS-07).
func TestMixedRuns(t *testing.T) {
	sizes := []int{60, 100, 100, 100, 400}
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 9))
		b := newInBench(t, protections[seed%3])
		sas := []far{b.farEnd(t), b.another(t, "hq/2", 50, anySelectors, anySelectors), b.another(t, "other/1", 90, anySelectors, anySelectors)}
		mine, notMine := []string{hq, hq, elsewhere}, []string{elsewhere, elsewhere, hq}
		var batch [][]byte
		want, drops := map[string]int{}, map[string]uint64{}
		var packets [3]uint64
		for len(batch) < 300 {
			i, size := r.IntN(3), sizes[r.IntN(len(sizes))]
			for range 1 + r.IntN(12) {
				pkt := udp(mine[i], paris, 7000+r.IntN(3), len(batch), size) // no two are the same
				sealed, authentic := sas[i].seal(pkt), false
				switch r.IntN(12) {
				case 0:
					sealed[8+r.IntN(len(sealed)-8)] ^= 1 << r.IntN(8)
					drops["auth"]++
				case 1: // under another SA's SPI, with a number that it has not had
					binary.BigEndian.PutUint32(sealed, uint32(sas[(i+1)%3].spi))
					binary.BigEndian.PutUint32(sealed[4:], 900)
					drops["auth"]++
				case 2:
					binary.BigEndian.PutUint32(sealed, uint32(sas[i].spi)^1<<31)
					drops["unknown_spi"]++
				case 3:
					sealed, authentic = sas[i].seal(udp(notMine[i], paris, 1, 2, size)), true
					drops["spoofed"]++
				default:
					want[string(pkt)]++
					packets[i]++
					authentic = true
				}
				batch = append(batch, sealed)
				if authentic && r.IntN(6) == 0 {
					batch = append(batch, bytes.Clone(sealed))
					drops["replay"]++
				}
			}
		}
		for at := 0; at < len(batch); { // so many come at a time
			n := min(1+r.IntN(60), len(batch)-at)
			for _, pkt := range allSegments(t, b.arrive(batch[at:at+n]...)) {
				want[string(pkt)]--
			}
			at += n
		}
		for pkt, n := range want {
			if n != 0 {
				t.Errorf("seed %d: arrived %d times too seldom: %x", seed, n, pkt)
			}
		}
		if got := b.g.Drops(); !maps.Equal(got, drops) {
			t.Errorf("seed %d: dropped %v, want %v", seed, got, drops)
		}
		for i, tunnel := range []string{"hq/1", "hq/2", "other/1"} {
			if got := b.g.Traffic(tunnel).RxPackets; got != packets[i] {
				t.Errorf("seed %d: %s has %d packets, want %d", seed, tunnel, got, packets[i])
			}
		}
	}
}
