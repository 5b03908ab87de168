package datapath

import (
	"fmt"
	"sync"
	"testing"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// Packets of several flows come in turn, as from several senders behind the peer: what joining them costs. Up to eight
// superpackets grow at a time.
func BenchmarkJoinFlows(b *testing.B) {
	alg := protect.AES128GCM16
	for _, flows := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(flows), func(b *testing.B) {
			x := newInBench(b, alg)
			x.record = false
			var inner [][]byte
			for flow := range flows {
				f := superpacket(hq, paris, protoTCP, 64/flows*1386, 1386, tcpACK, timestamps...)
				put16(f.Buf, f.At+20, 10000+flow)
				inner = append(inner, segments(b, f)...)
			}
			run := transport.Message{Buf: make([]byte, 0, 1<<17), Stride: esp.SealedLen(alg, len(inner[0]))}
			b.ReportAllocs()
			b.SetBytes(int64(len(inner) * len(inner[0])))
			for b.Loop() {
				run.Buf = run.Buf[:0]
				for i := range inner { // packet by packet of each flow
					pkt := inner[i%flows*(len(inner)/flows)+i/flows]
					run.Buf, _ = x.far.Seal(run.Buf, pkt, esp.NextIPv4)
				}
				run.N = len(run.Buf)
				x.recv.begin(1)
				x.recv.message(&run)
				x.recv.end()
			}
			if d := x.g.Drops(); len(d) != 0 {
				b.Fatal(d)
			}
			b.ReportMetric(float64(x.g.Stats().Joined)/float64(b.N), "superpackets/op")
		})
	}
}

// A packet of the flow that the one before it had, and of another one each time: what looking the way up costs.
func BenchmarkOutboundFlows(b *testing.B) {
	for _, flows := range []int{1, 64} {
		b.Run(fmt.Sprint(flows), func(b *testing.B) {
			x := newBench(b, protect.AES128GCM16)
			var frames []*tun.Frame
			for flow := range flows {
				frames = append(frames, whole(udp(paris, hq, 1000+flow, 7, 36)))
			}
			b.ReportAllocs()
			for b.Loop() {
				x.send.begin(1)
				for i := range batchFrames {
					x.put(frames[i%flows])
				}
				x.send.end()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batchFrames), "ns/packet")
		})
	}
}

// Several workers seal superpackets, all for one SA or each for one of its own (F15). An operation is one superpacket
// of 44 packets; with enough cores it takes less the more workers there are.
func BenchmarkWorkersSeal(b *testing.B) {
	for _, tt := range []struct{ workers, children int }{{1, 1}, {2, 1}, {2, 2}, {4, 1}, {4, 4}} {
		b.Run(fmt.Sprintf("workers=%d/SAs=%d", tt.workers, tt.children), func(b *testing.B) {
			g, w, _ := crowd(b, tt.workers, tt.children)
			w.forget = true
			var all sync.WaitGroup
			b.ReportAllocs()
			b.SetBytes(44 * 1386)
			senders := make([]*sender, tt.workers)
			for i := range senders {
				senders[i] = newSender(g, i)
			}
			b.ResetTimer()
			for worker, s := range senders {
				all.Go(func() {
					to := fmt.Sprintf("10.%d.0.1", 100+worker%tt.children)
					f, slot := superpacket(paris, to, protoTCP, 44*1386, 1386, tcpACK, timestamps...), newArena(slotStride).frame()
					for range (b.N + tt.workers - 1) / tt.workers {
						s.begin(1)
						buf, at := slot.Buf, slot.At
						copy(buf[at:], f.Packet())
						slot = *f
						slot.Buf, slot.At = buf, at
						s.frame(&slot)
						s.end()
					}
				})
			}
			all.Wait()
		})
	}
}
