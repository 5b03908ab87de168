package daemon

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/config"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/simnet"
)

func TestFiltersAreTranslated(t *testing.T) { // R47
	got := filterOf(config.Filter{
		In:  []config.FilterRule{{Action: "allow", Proto: "tcp", Ports: config.PortRange{From: 22, To: 22}}, {Action: "deny"}},
		Out: []config.FilterRule{{Action: "deny", Proto: "udp"}, {Action: "deny", Proto: "icmp"}, {Action: "deny", Proto: "icmpv6"}, {Action: "allow", Proto: "any"}},
	})
	want := datapath.Filter{
		In:  []datapath.FilterRule{{Proto: 6, FromPort: 22, ToPort: 22}, {Deny: true}},
		Out: []datapath.FilterRule{{Deny: true, Proto: 17}, {Deny: true, Proto: 1}, {Deny: true, Proto: 58}, {}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// The packets of these sites are UDP to port 7000.
func TestAConfiguredFilterDecides(t *testing.T) { // R47
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		filter := "    filter: {in: [{action: deny, proto: udp, port: 6000-7000}, {action: allow}]}\n    tunnels:"
		right := open(t, net, strings.Replace(rightConfig, "    tunnels:", filter, 1), nil)
		left := open(t, net, leftConfig, nil)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		if left.send(right, 1) {
			t.Error("what the filter denies came through")
		}
		if !right.send(left, 2) {
			t.Error("the filter holds back what leaves, too")
		}
		if drops := right.d.gateway.Traffic("branch/1").Drops; drops["filter_in"] != 1 {
			t.Errorf("dropped %v", drops)
		}
	})
}
