package kernel

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestWhatKeepsPacketsFromBeingForwarded(t *testing.T) {
	host := func(settings ...string) fstest.MapFS {
		sys := fstest.MapFS{}
		for _, s := range settings {
			name, value, _ := strings.Cut(s, "=")
			sys[name] = &fstest.MapFile{Data: []byte(value + "\n")}
		}
		return sys
	}
	const v4, v6 = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"
	const all, own = "net/ipv4/conf/all/rp_filter", "net/ipv4/conf/tb0.1/rp_filter"
	for _, tt := range []struct {
		name     string
		sys      fstest.MapFS
		warnings []string // what each must name
	}{
		{"all is well", host(v4+"=1", v6+"=1", all+"=0", own+"=0"), nil},
		{"a host", host(v4+"=0", v6+"=0", all+"=2", own+"=0"), []string{"net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"}},
		{"strict everywhere", host(v4+"=1", v6+"=1", all+"=1", own+"=0"), []string{"net.ipv4.conf.tb0.1.rp_filter=2"}},
		{"strict here", host(v4+"=1", v6+"=1", all+"=0", own+"=1"), []string{"net.ipv4.conf.tb0.1.rp_filter=2"}},
		{"loose here", host(v4+"=1", v6+"=1", all+"=1", own+"=2"), nil},
		{"no IPv6", host(v4+"=1", all+"=0", own+"=0"), nil},
		{"no device yet", host(v4+"=1", v6+"=1", all+"=1"), nil},
	} {
		got := checkForwarding(tt.sys, "tb0.1")
		if len(got) != len(tt.warnings) {
			t.Errorf("%s: %q, want %d warnings", tt.name, got, len(tt.warnings))
			continue
		}
		for i, w := range tt.warnings {
			if !strings.Contains(got[i], w) {
				t.Errorf("%s: %q does not name %s", tt.name, got[i], w)
			}
		}
	}
}
