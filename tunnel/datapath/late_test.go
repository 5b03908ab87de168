package datapath

import "testing"

// F20: packets that come later than the window reaches are counted with how late they were, also for an SA that is gone, and
// packets that nearly do make the window larger.
func TestLatePacketsAreToldWithTheirDepth(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		var sealed [][]byte
		for range 4000 {
			sealed = append(sealed, p.seal(udp(hq, paris, 1, 2, 10)))
		}
		for _, n := range []int{1999, 1999 - 1024, 1999 - 600, 3999, 3999 - 1500} {
			p.datagram(sealed[n])
		}
		s.inside()
		if got := s.Traffic("hq/1"); got.RxPackets != 4 || got.LatePackets != 1 || got.LateBy != 1024 {
			t.Errorf("%d taken, %d late by %d; want 4, 1 by 1024", got.RxPackets, got.LatePackets, got.LateBy)
		}
		s.Remove(p.id)
		if got := s.Traffic("hq/1"); got.LatePackets != 1 || got.LateBy != 1024 {
			t.Errorf("after its end: %d late by %d", got.LatePackets, got.LateBy)
		}
	})
}
