package datapath

import "testing"

// TS-08, R33: where the networks of two connections overlap the longest prefix decides, in both directions, whichever connection
// stands first and whatever their traffic selectors say.
func TestTheLongestPrefixOwnsWhatOverlaps(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		for _, swapped := range []bool{false, true} {
			conns := parisConnections()
			conns[1].Networks = prefixes("10.2.3.0/24") // inside hq's 10.2.0.0/16
			if swapped {
				conns[0], conns[1] = conns[1], conns[0]
			}
			if err := s.SetConnections(conns); err != nil {
				t.Fatal(err)
			}
			wide := s.install("hq/1", "198.51.100.1", childOptions{})
			narrow := s.install("other/1", "203.0.113.1", childOptions{})
			s.choose("hq", "1")
			s.choose("other", "1")
			s.host(udp(paris, "10.2.3.4", 1, 2, 8))
			narrow.wantOpened(udp(paris, "10.2.3.4", 1, 2, 8))
			s.host(udp(paris, hq, 1, 2, 8))
			wide.wantOpened(udp(paris, hq, 1, 2, 8))

			wide.send(udp("10.2.3.4", paris, 1, 2, 8))
			s.refused("the narrow network from the wide one's peer", "spoofed")
			narrow.send(udp(hq, paris, 1, 2, 8))
			s.refused("the wide network from the narrow one's peer", "spoofed")
			narrow.send(udp("10.2.3.4", paris, 1, 2, 8))
			wide.send(udp(hq, paris, 1, 2, 8))
			s.want(udp("10.2.3.4", paris, 1, 2, 8), udp(hq, paris, 1, 2, 8))
			for _, p := range []*peer{wide, narrow} {
				s.Remove(p.id)
				p.sock.Close()
			}
		}
	})
}
