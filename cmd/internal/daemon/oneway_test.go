package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBalance(t *testing.T) { // R44
	now := time.Now()
	for _, c := range []struct {
		name  string
		beats [][2]uint64 // out and in, one a second
		want  string      // begins so
	}{
		{"nothing", nil, ""},
		{"to and fro", [][2]uint64{{9, 9}, {9, 9}, {9, 9}, {9, 9}, {9, 9}, {9, 9}, {9, 9}}, ""},
		{"an answer now and then", [][2]uint64{{9, 0}, {9, 0}, {9, 0}, {0, 1}, {9, 0}, {9, 0}, {9, 0}, {9, 0}}, ""},
		{"no answer", [][2]uint64{{2, 0}, {2, 0}, {2, 0}, {2, 0}, {2, 0}, {2, 0}}, "one-way: 12 packets sent in 5s and none came back"},
		{"no answer any more", [][2]uint64{{9, 9}, {2, 0}, {2, 0}, {2, 0}, {2, 0}, {2, 0}, {2, 0}}, "one-way: 12 packets sent in 5s and none came back"},
		{"not for long", [][2]uint64{{9, 0}, {9, 0}, {9, 0}}, ""},
		{"not many", [][2]uint64{{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}}, ""},
		{"none of ours answers", [][2]uint64{{0, 5}, {0, 5}, {0, 5}, {0, 5}, {0, 5}, {0, 5}}, "one-way: 30 packets came in 5s and none went back"},
		{"one of ours does", [][2]uint64{{0, 5}, {0, 5}, {0, 5}, {0, 5}, {1, 5}, {0, 5}}, ""},
	} {
		var b balance
		at := now
		for _, beat := range c.beats {
			b.look(at, beat[0], beat[1])
			at = at.Add(time.Second)
		}
		if got := b.verdict(at); !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := b.verdict(at.Add(oneWayShown)); got != "" {
			t.Errorf("%s, and long quiet: %q", c.name, got)
		}
	}
	var b balance
	for i := range 12 {
		b.look(now.Add(time.Duration(i)*(oneWayPause+time.Second)), 5, 0)
	}
	if got := b.verdict(now.Add(12 * (oneWayPause + time.Second))); got != "" {
		t.Errorf("a packet now and then: %q", got)
	}
}

// R44: both ends say which way it is, and it is over with the first answer.
func TestOneWayTrafficIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		for n := range uint32(40) {
			left.host.Out <- packet(netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.9"), n)
			<-right.host.In
			time.Sleep(250 * time.Millisecond)
		}
		for s, want := range map[*site]string{left: "none came back", right: "none went back"} {
			c := s.connection()
			if c.OneWay == nil || !strings.Contains(*c.OneWay, want) {
				t.Errorf("%s says %v, want %q", c.Name, c.OneWay, want)
			}
			got, err := s.d.Routes(t.Context(), c.Name)
			if err != nil || !strings.Contains(got.Routes[0].Hint, want) {
				t.Errorf("routes of %s: %+v, %v", c.Name, got, err)
			}
		}
		right.host.Out <- packet(netip.MustParseAddr("10.2.0.9"), netip.MustParseAddr("10.1.0.5"), 99)
		<-left.host.In
		time.Sleep(2 * lookSlow)
		for _, s := range []*site{left, right} {
			if c := s.connection(); c.OneWay != nil {
				t.Errorf("%s still says %q", c.Name, *c.OneWay)
			}
		}
	})
}
