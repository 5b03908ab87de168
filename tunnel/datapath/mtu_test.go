package datapath

import (
	"testing"

	"twinbore/esp"
	"twinbore/esp/protect"
)

// The table that AWS publishes, for 1500 octets of path: without and with NAT traversal.
func TestInnerMTUIsTheTableOfAWS(t *testing.T) {
	for _, tt := range []struct {
		alg       *protect.Algorithm
		off, on   int
		off6, on6 int
	}{
		{protect.AES128GCM16, 1446, 1438, 1426, 1418},
		{protect.AES256GCM16, 1446, 1438, 1426, 1418},
		{protect.CBC(128, protect.InsecureHMACSHA1), 1438, 1422, 1422, 1406},
		{protect.CBC(256, protect.HMACSHA256), 1438, 1422, 1406, 1406},
		{protect.CBC(256, protect.HMACSHA384), 1422, 1422, 1406, 1390},
		{protect.CBC(256, protect.HMACSHA512), 1422, 1406, 1390, 1390},
	} {
		for _, c := range []struct {
			outer6, encap bool
			want          int
		}{{false, false, tt.off}, {false, true, tt.on}, {true, false, tt.off6}, {true, true, tt.on6}} {
			got := InnerMTU(1500, c.outer6, c.encap, tt.alg)
			if got != c.want {
				t.Errorf("%s, outer IPv6 %v, NAT-T %v: %d, want %d", tt.alg.Name, c.outer6, c.encap, got, c.want)
			}
			outer := ipv4HeaderLen + esp.SealedLen(tt.alg, got)
			if c.outer6 {
				outer += ipv6HeaderLen - ipv4HeaderLen
			}
			if c.encap {
				outer += udpHeaderLen
			}
			if over := outer - esp.SealedLen(tt.alg, got) + esp.SealedLen(tt.alg, got+1); outer > 1500 || over <= 1500 {
				t.Errorf("%s: %d inner octets make %d, one more makes %d", tt.alg.Name, got, outer, over)
			}
		}
	}
	if got := InnerMTU(40, false, true, protect.AES128GCM16); got != 0 {
		t.Errorf("a path of 40 octets carries %d", got)
	}
}
