package tunnel

import (
	"cmp"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"twinbore/esp"
)

var update = flag.Bool("update", false, "rewrite the outputs in testdata")

// TestTranscripts runs every script in testdata: comment and configuration lines, then one event a line with its time
// since the start. After the line of dashes stands everything that the connection answered, its own wake-ups included.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(text), "----\n")
			if !strings.HasPrefix(script, "# ") {
				t.Fatalf("%s: the first line must say what it shows", file)
			}
			got := play(t, script)
			if *update {
				if err := os.WriteFile(file, []byte(script+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		})
	}
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A player reads a script to one connection.
type player struct {
	t    *testing.T
	c    *Connection
	wake time.Time
	out  strings.Builder
}

func play(t *testing.T, script string) string {
	p := &player{t: t}
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "connection":
			p.c = New(parseConfig(t, words[1:]), epoch)
		default:
			after, err := time.ParseDuration(words[0])
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			p.runTo(epoch.Add(after))
			p.line(epoch.Add(after), words[1:])
		}
	}
	return p.out.String()
}

func parseConfig(t *testing.T, words []string) Config {
	cfg := Config{Name: words[0], PreemptAfter: 30 * time.Second, Seed: 1}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "start":
			cfg.Start = map[string]Start{"always": Always, "wait": Wait, "on-traffic": OnTraffic}[value]
		case "tunnels":
			for name := range strings.SplitSeq(value, ",") {
				cfg.Tunnels = append(cfg.Tunnels, TunnelConfig{Name: name})
			}
		case "prefer":
			cfg.Prefer, err = strconv.Atoi(value)
			cfg.Prefer--
		case "preempt":
			cfg.PreemptAfter, err = time.ParseDuration(value)
		case "ping":
			for i := range cfg.Tunnels {
				cfg.Tunnels[i].Ping = netip.MustParseAddr("169.254.1.1")
			}
		case "keepalive":
			cfg.Keepalive.Interval, err = time.ParseDuration(value)
		case "lenient":
			cfg.Keepalive.Lenient = true
		case "active-active":
			cfg.ActiveActive = true
		case "dead":
			cfg.DeadPeer = map[string]DeadPeer{"restart": Restart, "clear": Clear}[value]
		default:
			t.Fatalf("unknown option %q", word)
		}
		if err != nil {
			t.Fatalf("%q: %v", word, err)
		}
	}
	return cfg
}

// runTo lets the connection do what is due before now.
func (p *player) runTo(now time.Time) {
	for range 1000 {
		if p.wake.IsZero() || !p.wake.Before(now) {
			return
		}
		at := p.wake
		fmt.Fprintf(&p.out, "%s wake\n", at.Sub(epoch))
		p.show(p.c.Handle(at, Event{Kind: Wake}))
		if !p.wake.IsZero() && !p.wake.After(at) {
			p.t.Fatalf("asks to be woken at %s again and again", at.Sub(epoch))
		}
	}
	p.t.Fatal("never rests")
}

// line does one line of the script: an event, or `report`.
func (p *player) line(now time.Time, words []string) {
	fmt.Fprintf(&p.out, "%s %s\n", now.Sub(epoch), strings.Join(words, " "))
	if words[0] == "report" {
		p.report(now)
		return
	}
	p.show(p.c.Handle(now, parseEvent(p.t, words)))
}

// parseEvent reads "kind [tunnel|all] [child] [old] [REASON] [by-us] ["hint"] [#number] [rtt=…]".
func parseEvent(t *testing.T, words []string) Event {
	ev := Event{Kind: Wake + 1}
	for k := range Wake + 1 {
		if k.String() == words[0] {
			ev.Kind = k
		}
	}
	if ev.Kind > Wake {
		t.Fatalf("unknown event %q", words[0])
	}
	for _, word := range words[1:] {
		number, err := strconv.ParseUint(word, 0, 32)
		switch {
		case word == "all":
			ev.Tunnel = All
		case word == "by-us":
			ev.Initiator = true
		case word[0] == '#':
			n, err := strconv.ParseUint(word[1:], 10, 16)
			if err != nil {
				t.Fatalf("%q: %v", word, err)
			}
			ev.Number = uint16(n)
		case strings.HasPrefix(word, "rtt="):
			if ev.RTT, err = time.ParseDuration(word[4:]); err != nil {
				t.Fatalf("%q: %v", word, err)
			}
		case strings.HasPrefix(word, "hint="):
			ev.Hint = strings.ReplaceAll(word[5:], "_", " ")
		case err != nil:
			ev.Reason = Reason(word)
		case !strings.HasPrefix(word, "0x"):
			ev.Tunnel = int(number) - 1
		case ev.Child == 0:
			ev.Child = esp.ChildID(number)
		default:
			ev.Old = esp.ChildID(number)
		}
	}
	return ev
}

func (p *player) show(out Output) {
	name := func(i int) string { return p.c.cfg.Tunnels[i].Name }
	names := func(list []int) string {
		var words []string
		for _, i := range list {
			words = append(words, name(i))
		}
		return cmp.Or(strings.Join(words, " "), "none")
	}
	for _, cmd := range out.IKE {
		fmt.Fprintf(&p.out, "    ike %s %s", cmd.Do, name(cmd.Tunnel))
		if cmd.Reason != "" {
			fmt.Fprintf(&p.out, " %s", cmd.Reason)
		}
		p.out.WriteByte('\n')
	}
	for _, cmd := range out.Probe {
		fmt.Fprintf(&p.out, "    ask %s %s", cmd.Way, name(cmd.Tunnel))
		if cmd.Way == Ping {
			fmt.Fprintf(&p.out, " #%d", cmd.Number)
		}
		p.out.WriteByte('\n')
	}
	for _, ch := range out.Changes {
		fmt.Fprintf(&p.out, "    log %s", ch.Kind)
		switch ch.Kind {
		case TunnelUp:
			fmt.Fprintf(&p.out, " %s after %s", name(ch.Tunnel), ch.After)
		case TunnelDown:
			fmt.Fprintf(&p.out, " %s after %s: %s: %s", name(ch.Tunnel), ch.After, ch.Reason, ch.Hint)
		case TunnelReason:
			fmt.Fprintf(&p.out, " %s: %s: %s", name(ch.Tunnel), ch.Reason, ch.Hint)
		case Switched:
			fmt.Fprintf(&p.out, " %s -> %s", names(ch.From), names(ch.To))
		case ProbeGone:
			fmt.Fprintf(&p.out, " %s: %s", name(ch.Tunnel), ch.Hint)
		case ProbeBack:
			fmt.Fprintf(&p.out, " %s after %s", name(ch.Tunnel), ch.After)
		case StateChanged:
			fmt.Fprintf(&p.out, " %s", ch.State)
		}
		p.out.WriteByte('\n')
	}
	if out.Choose.Changed {
		fmt.Fprintf(&p.out, "    choose %s\n", names(out.Choose.Tunnels))
	}
	if out.Routes.Changed {
		fmt.Fprintf(&p.out, "    routes up=%v\n", out.Routes.Up)
	}
	if !out.Wake.Equal(p.wake) {
		p.wake = out.Wake
		if p.wake.IsZero() {
			p.out.WriteString("    wake never\n")
		} else {
			fmt.Fprintf(&p.out, "    wake at %s\n", p.wake.Sub(epoch))
		}
	}
}

func (p *player) report(now time.Time) {
	r := p.c.Report(now)
	fmt.Fprintf(&p.out, "    %s %s since %s active=%d\n", r.Name, r.State, r.Since.Sub(epoch), r.Active+1)
	if r.Note != "" {
		fmt.Fprintf(&p.out, "    note: %s\n", r.Note)
	}
	for _, t := range r.Tunnels {
		status := "UP"
		if !t.Up {
			status = "DOWN"
		}
		fmt.Fprintf(&p.out, "    %s %s since %s", t.Name, status, t.Since.Sub(epoch))
		for _, fact := range []struct {
			word string
			said bool
		}{{" suspect", t.Probe.Suspect}, {" draining", t.Draining}, {" drained", t.Drained}} {
			if fact.said {
				p.out.WriteString(fact.word)
			}
		}
		if t.Probe.Asked {
			fmt.Fprintf(&p.out, " rtt %s loss %.0f%%", t.Probe.RTT, t.Probe.Loss)
		}
		if t.Reason != "" {
			fmt.Fprintf(&p.out, " %s: %s", t.Reason, t.Hint)
		}
		if !t.NextRetry.IsZero() {
			fmt.Fprintf(&p.out, "; retry at %s", t.NextRetry.Sub(epoch))
		}
		p.out.WriteByte('\n')
	}
}
