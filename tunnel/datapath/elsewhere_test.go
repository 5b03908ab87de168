package datapath

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

// Only a new, authentic and newest packet from elsewhere is told to IKE, and nothing moves by itself (RPL-09, N-63).
func TestOnlyTheNewestPacketTellsOfAnotherPath(t *testing.T) {
	inLab(t, func(l *lab) {
		type told struct {
			peer string
			id   esp.ChildID
			path esp.Path
		}
		var seen []told
		s := l.paris(func(c *Config) {
			c.Seen = func(peer string, id esp.ChildID, path esp.Path) { seen = append(seen, told{peer, id, path}) }
		})
		p := s.up()
		at := port("203.0.113.66:6666")
		elsewhere := l.net.Listen(at)
		from := func(b []byte) {
			path := esp.Path{Remote: netip.AddrPortFrom(s.outer, 4500)}
			elsewhere.Write([]transport.Message{{Buf: b, N: len(b), Path: path}})
			l.settle()
		}
		good := udp(hq, paris, 1, 2, 8)
		first, late := p.seal(good), p.seal(good)
		p.datagram(bytes.Clone(first))
		p.send(good)
		from(first) // (a) a replay
		bad := p.seal(good)
		bad[20]++
		from(bad)  // (b) forged
		from(late) // authentic and never seen before, but not the newest
		if s.want(good, good, good); len(seen) != 0 {
			t.Fatalf("told %v by packets that are old or forged", seen)
		}

		from(p.seal(good)) // (c)
		s.want(good)
		want := []told{{"hq/1", p.id, esp.Path{Local: netip.AddrPortFrom(s.outer, 4500), Remote: at}}}
		if !slices.Equal(seen, want) {
			t.Fatalf("told %v, want %v", seen, want)
		}
		for range 20 { // within a tenth of a second: once
			from(p.seal(good))
		}
		if len(seen) != 1 {
			t.Errorf("told %d times within a tenth of a second", len(seen))
		}
		s.inside()
		out := udp(paris, hq, 1, 2, 8)
		s.host(out)
		p.wantOpened(out) // still at the old address: whether to follow is for IKE to say

		time.Sleep(100 * time.Millisecond)
		from(p.seal(good))
		if len(seen) != 2 {
			t.Errorf("told %d times, want 2: IKE has not moved the path yet", len(seen))
		}
		s.Move(p.id, seen[1].path)
		time.Sleep(100 * time.Millisecond)
		from(p.seal(good))
		if len(seen) != 2 {
			t.Errorf("told of the path that it is on")
		}
	})
}
