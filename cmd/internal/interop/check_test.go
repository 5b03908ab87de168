//go:build interop

package interop

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The checks that every scenario leans on must be able to fail: here is what they are there to find.

func TestCaptureFindsWhatIsInClear(t *testing.T) {
	needPeers(t)
	l := newLab(t)
	l.watchLeaks("a0", "b0")
	c, err := l.startCapture()
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"10.2.0.2", "fd00:2::2"} { // by the default routes, for there is no gateway
		run(limitTool, l.on("la", "ping", "-n", "-c", "1", "-W", "1", to)...)
	}
	// An IKE_SA_INIT request whose SA payload claims more octets than there are.
	run(limitTool, l.on("a", "bash", "-c", `printf '\1\2\3\4\5\6\7\10\0\0\0\0\0\0\0\0\41\40\42\10\0\0\0\0\0\0\0\54\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0' >/dev/udp/198.51.100.1/500`)...)
	if err := until(limitTool, func() error { // the datagram must be in the file before the capture ends
		_, err := run(limitTool, "sh", "-c", "tcpdump -n -r "+c.file+" udp port 500 2>/dev/null | grep -q isakmp")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	v, err := c.judge()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ kind, holds string }{{"in clear", "10.1.0.2"}, {"in clear", "fd00:1::2"}, {"malformed", "isakmp"}} {
		if !slices.ContainsFunc(v.faults, func(f string) bool { return strings.HasPrefix(f, want.kind) && strings.Contains(f, want.holds) }) {
			t.Errorf("no fault %v in %q", want, v.faults)
		}
	}
	for dev, want := range map[string]int{"a0": 2, "b0": 0} {
		if n, err := l.leaked(dev); err != nil || n != want {
			t.Errorf("%s counts %d packets in clear (%v), want %d", dev, n, err, want)
		}
	}
}

func TestProbeCountsLossAndSilence(t *testing.T) {
	ms := func(n ...int) (out []time.Duration) {
		for _, i := range n {
			out = append(out, time.Duration(i)*time.Millisecond)
		}
		return out
	}
	r := judgeProbe(6, map[int][]time.Duration{0: ms(1), 1: ms(2), 3: ms(40), 5: ms(41, 43)})
	if r.Sent != 6 || r.Received != 4 || r.Lost != 2 || r.Doubled != 1 || r.Gap != 38*time.Millisecond || r.GapAt != 2*time.Millisecond ||
		!slices.Equal(r.FirstLost, []int{2, 4}) {
		t.Errorf("got %+v", r)
	}
}

func TestPingMissesNoPacket(t *testing.T) {
	line := func(n string) string { return "64 bytes from 10.2.0.2: icmp_seq=" + n + " ttl=62 time=0.355 ms\n" }
	for _, c := range []struct {
		out  string
		lost bool
	}{
		{line("1") + line("2") + line("3"), false},
		{line("1") + line("2") + "3 packets transmitted, 2 received", true},
		{line("1") + line("3") + line("4") + "4 packets transmitted, 3 received", true}, // one that is sent later is no stand-in
		{line("11") + line("2") + line("3"), true},
		{line("1") + line("2") + line("3") + "4 packets transmitted, 3 received", false}, // the third was late, not lost
		{"", true},
	} {
		if err := answered(c.out, nil); (err != nil) != c.lost {
			t.Errorf("%q: got %v", c.out, err)
		}
	}
}

func TestStatusValuesAreFound(t *testing.T) {
	st := map[string]any{"tunnels": []any{map[string]any{"status": "UP", "ts": []any{"10.0.0.0/8"}, "retry": nil}}}
	for _, c := range []struct{ path, want string }{
		{"tunnels 0 status", "UP"}, {"tunnels 0 ts", `["10.0.0.0/8"]`}, {"tunnels 0 retry", "null"},
		{"tunnels 1 status", "null"}, {"tunnels x", "null"}, {"tunnels 0 status 0", "null"},
	} {
		if got := dig(st, strings.Fields(c.path)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.path, got, c.want)
		}
	}
}
