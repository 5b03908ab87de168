package config

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// spent is the time that this process has had a core.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// SEC-05: files as long as they may be, of what costs most to read, cost less than a second. It is the time of the core that
// counts, so that a busy machine is no failure; the race detector makes it several times as long.
func TestHostileFilesOfFullSize(t *testing.T) {
	rows := func(n int, row func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(row(i))
		}
		return b.String()
	}
	const limit = 5 * time.Second // 0.35 s without the race detector
	for name, text := range map[string]string{
		"wrong values":   "gateway: {networks: [" + strings.Repeat("x,", 500_000) + "x]}\n",
		"tunnels":        base + strings.Repeat("      - {remote: 198.51.100.87, psk: {file: b.psk}}\n", 19_000),
		"marks":          `gateway: {name: "` + strings.Repeat("${env:A}", 130_000) + `"}`,
		"open lists":     strings.Repeat("[", 1_000_000),
		"deep by indent": rows(1400, func(i int) string { return strings.Repeat(" ", i) + "a:\n" }),
	} {
		if len(text) > maxFileSize {
			t.Errorf("%s: %d octets are refused for their number", name, len(text))
		}
		begun := spent(t)
		got := problems(text)
		if took := spent(t) - begun; took > limit {
			t.Errorf("%s: %d octets took %v", name, len(text), took)
		}
		if len(got) > maxProblems {
			t.Errorf("%s: %d problems", name, len(got))
		}
	}
}
