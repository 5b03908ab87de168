package gcm

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// A race is one piece of work done in two ways by turns, so that what else the machine does falls on both. The best of
// each counts.
type race struct {
	own, std         func()
	ownBest, stdBest float64 // nanoseconds for one
}

func newRace(own, std func()) race { return race{own, std, math.Inf(1), math.Inf(1)} }

// round does each n times.
func (r *race) round(n int) {
	for _, side := range []struct {
		work func()
		best *float64
	}{{r.std, &r.stdBest}, {r.own, &r.ownBest}} {
		start := time.Now()
		for range n {
			side.work()
		}
		*side.best = min(*side.best, float64(time.Since(start))/float64(n))
	}
}

func (r *race) ratio() float64 { return r.stdBest / r.ownBest }

// races returns the sealing and the opening of a packet of n octets, from one buffer to another.
func (p *pair) races(n int) (seal, open race) {
	text, sealed, opened, aad := random(n), make([]byte, n+TagLen), make([]byte, n), random(8)
	from := p.Seal(nil, p.iv, text, aad)
	return newRace(func() { p.Seal(sealed[:0], p.iv, text, aad) }, func() { p.std.Seal(sealed[:0], p.nonce, text, aad) }),
		newRace(func() { p.Open(opened[:0], p.iv, from, aad) }, func() { _, _ = p.std.Open(opened[:0], p.nonce, from, aad) })
}

// BenchmarkAgainstStandardLibrary tells nanoseconds for a packet, and how many times as long crypto/cipher takes.
func BenchmarkAgainstStandardLibrary(b *testing.B) {
	for _, keyLen := range []int{16, 32} {
		for _, kernel := range probed() {
			for _, n := range []int{48, 64, 96, 200, 512, 1024, 1384, 1440, 8944, 65536} {
				b.Run(fmt.Sprintf("aes%d/%s/%d", keyLen*8, kernel, n), func(b *testing.B) {
					p := newPair(b, kernel, keyLen)
					seal, open := p.races(n)
					for b.Loop() {
						seal.round(100_000 / (n + 400))
						open.round(100_000 / (n + 400))
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(seal.ownBest, "seal-ns")
					b.ReportMetric(seal.ratio(), "seal-x")
					b.ReportMetric(open.ownBest, "open-ns")
					b.ReportMetric(open.ratio(), "open-x")
				})
			}
		}
	}
}

// BenchmarkWorstLength tells the lengths up to 2,048 octets at which the standard library comes nearest.
func BenchmarkWorstLength(b *testing.B) {
	for _, keyLen := range []int{16, 32} {
		for _, kernel := range probed() {
			b.Run(fmt.Sprintf("aes%d/%s", keyLen*8, kernel), func(b *testing.B) {
				p := newPair(b, kernel, keyLen)
				var all [2][]race
				for n := range 2049 {
					seal, open := p.races(n)
					all[0], all[1] = append(all[0], seal), append(all[1], open)
				}
				for b.Loop() {
					for i := range all {
						for n := range all[i] {
							all[i][n].round(20)
						}
					}
				}
				b.ReportMetric(0, "ns/op")
				for i, verb := range []string{"seal", "open"} {
					worst := 0
					for n := range all[i] {
						if all[i][n].ratio() < all[i][worst].ratio() {
							worst = n
						}
					}
					b.ReportMetric(all[i][worst].ratio(), verb+"-worst-x")
					b.ReportMetric(float64(worst), verb+"-worst-octets")
				}
			})
		}
	}
}
