package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"twinbore/cmd/internal/api"
	"twinbore/ike/suite"
)

// absent stands where there is nothing to show.
const absent = "–"

// statusTable is the status for people.
func statusTable(st api.Status, wide, colour bool, now time.Time) string {
	var out strings.Builder
	out.WriteString(headLine(st))
	if wide {
		out.WriteString(lostLine(st.Gateway))
	}
	header := []string{"CONNECTION", "STATE", "TUNNEL", "PEER", "STATUS", "SINCE", "REKEY", "RX/TX", "ROUTES"}
	if wide {
		header = append(header, "LOCAL", "NAT", "IKE", "ESP", "SPI IN/OUT")
	}
	rows := [][]string{append(header, "DETAIL")}
	for _, c := range st.Connections {
		for i, t := range c.Tunnels {
			row := make([]string, 0, len(rows[0]))
			if i == 0 {
				row = append(row, c.Name, c.State)
			} else {
				row = append(row, "", "")
			}
			row = append(row, tunnelCells(c, t, now)...)
			if wide {
				row = append(row, wideCells(t)...)
			}
			rows = append(rows, append(row, detail(c, t, wide, now)))
		}
	}
	writeRows(&out, rows, func(cell, text string) string {
		switch {
		case !colour:
		case text == "UP":
			return "\x1b[32m" + cell + "\x1b[0m"
		case text == "DOWN":
			return "\x1b[31m" + cell + "\x1b[0m"
		}
		return cell
	})
	return out.String()
}

func headLine(st api.Status) string {
	tunnels, up := 0, 0
	for _, c := range st.Connections {
		for _, t := range c.Tunnels {
			tunnels++
			if t.Status == "UP" {
				up++
			}
		}
	}
	words := []string{"GATEWAY " + st.Gateway.Name, "up " + span(time.Duration(st.Gateway.UptimeSeconds)*time.Second), "mode " + st.Gateway.Mode}
	if st.Gateway.ASN != nil {
		words = append(words, fmt.Sprintf("AS %d", *st.Gateway.ASN))
	}
	words = append(words, fmt.Sprintf("%s, %s (%d up)", count(len(st.Connections), "connection"), count(tunnels, "tunnel"), up))
	line := strings.Join(words, "  ") + "\n"
	if until := st.Gateway.ConfirmUntil; until != nil {
		line += "UNCONFIRMED  the configuration before comes back at " + until.Local().Format(time.TimeOnly) + " unless you say: twinbore confirm\n"
	}
	return line
}

// lostLine is what the whole gateway has dropped, most of all first, and what it does without; nothing when that is nothing.
func lostLine(g api.Gateway) string {
	reasons := slices.SortedFunc(maps.Keys(g.Drops), func(a, b string) int {
		return cmp.Or(cmp.Compare(g.Drops[b], g.Drops[a]), cmp.Compare(a, b))
	})
	var words []string
	for _, reason := range reasons {
		words = append(words, fmt.Sprintf("%s %d", reason, g.Drops[reason]))
	}
	line := ""
	if len(words) > 0 {
		line = "DROPPED " + strings.Join(words, ", ") + "\n"
	}
	if len(g.OffloadsGivenUp) > 0 {
		line += "OFFLOADS GIVEN UP " + strings.Join(g.OffloadsGivenUp, ", ") + "\n"
	}
	return line
}

// tunnelCells are TUNNEL to ROUTES.
func tunnelCells(c api.Connection, t api.Tunnel, now time.Time) []string {
	name := t.Name
	if carries(c, t) {
		name += "*"
	}
	cells := []string{name, address(t.Remote), t.Status, span(now.Sub(t.Since))}
	if t.Status != "UP" {
		return append(cells, absent, absent, absent)
	}
	return append(cells, rekey(t), octets(t.Traffic.RXBytes)+"/"+octets(t.Traffic.TXBytes), routes(c))
}

// wideCells are LOCAL to SPI IN/OUT.
func wideCells(t api.Tunnel) []string {
	cells := []string{absent, absent, absent, absent, absent}
	if t.Local != nil {
		cells[0] = *t.Local
	}
	if t.IKE != nil {
		cells[1], cells[2] = t.IKE.NAT, t.IKE.Suite
	}
	if n := len(t.Children); n > 0 {
		newest := t.Children[n-1]
		cells[3], cells[4] = newest.Suite, newest.SPIIn+"/"+newest.SPIOut
	}
	return cells
}

// detail says what matters most: why a tunnel is down, or what is weak, or what was agreed on.
func detail(c api.Connection, t api.Tunnel, wide bool, now time.Time) string {
	if t.Status != "UP" {
		text := t.Reason + ": " + t.Hint
		if t.NextRetry != nil {
			if wait := t.NextRetry.Sub(now); wait > 0 {
				text += "; retry in " + span(wait)
			} else {
				text += "; retrying now"
			}
		}
		return text
	}
	var words []string
	if weak := weakIn(t); len(weak) > 0 {
		words = append(words, "WEAK "+strings.Join(weak, " "))
	}
	if c.OneWay != nil && c.ActiveTunnel != nil && *c.ActiveTunnel == t.Name {
		return strings.Join(append(words, *c.OneWay), "  ")
	}
	switch {
	case t.Admin == "draining" || t.Admin == "drained":
		words = append(words, t.Admin)
	case c.ActiveTunnel != nil && !carries(c, t):
		words = append(words, "standby")
	case t.IKE != nil && !wide:
		words = append(words, fmt.Sprintf("IKEv%d %s", t.IKE.Version, suiteWords(t.IKE.Suite)))
	}
	if t.Probe != nil && t.Probe.Suspect {
		words = append(words, "SUSPECT nothing comes back")
	}
	if t.Probe != nil && t.Probe.RTTMillis != nil {
		words = append(words, fmt.Sprintf("rtt %.1fms", *t.Probe.RTTMillis))
		if t.Probe.LossPercent > 0 {
			words = append(words, fmt.Sprintf("loss %.0f%%", t.Probe.LossPercent))
		}
	}
	if len(c.Tunnels) == 1 {
		words = append(words, "not redundant") // R20
	}
	return strings.Join(words, " ")
}

// carries reports whether the connection's outbound traffic takes this tunnel.
func carries(c api.Connection, t api.Tunnel) bool {
	return t.Active || c.ActiveTunnel != nil && *c.ActiveTunnel == t.Name
}

var aesWord = regexp.MustCompile(`^aes([0-9]+)(gcm|ccm|ctr)?[0-9]*$`)

// suiteWords says an IKE suite the way people do: AES256-GCM ecp384. The PRF goes without saying.
func suiteWords(name string) string {
	cipher, rest, _ := strings.Cut(name, "-")
	words := []string{strings.ToUpper(cipher)}
	if m := aesWord.FindStringSubmatch(cipher); m != nil {
		words[0] = "AES" + m[1] + "-" + strings.ToUpper(cmp.Or(m[2], "cbc"))
	}
	for word := range strings.SplitSeq(rest, "-") {
		if word != "" && !strings.HasPrefix(word, "prf") {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// weakIn names the weak algorithms that a tunnel uses.
func weakIn(t api.Tunnel) []string {
	var all []string
	if t.IKE != nil {
		all = strings.Split(t.IKE.Suite, "-")
	}
	for _, c := range t.Children {
		all = append(all, strings.Split(c.Suite, "-")...)
	}
	var weak []string
	for _, word := range all {
		if row, ok := suite.Lookup(word); ok && row.Weak != "" && !slices.Contains(weak, word) {
			weak = append(weak, word)
		}
	}
	return weak
}

// address is an outer address without its port, or a host name.
func address(a *string) string {
	if a == nil {
		return absent
	}
	if ap, err := netip.ParseAddrPort(*a); err == nil {
		return ap.Addr().String()
	}
	return *a
}

// rekey is when the next keys are due, of whatever comes first.
func rekey(t api.Tunnel) string {
	var first *int64
	for _, c := range t.Children {
		if s := c.RekeyInSeconds; s != nil && (first == nil || *s < *first) {
			first = s
		}
	}
	if first == nil {
		return absent
	}
	return span(time.Duration(*first) * time.Second)
}

// routes counts a connection's routes by where they come from: "3 bgp", "2 stat".
func routes(c api.Connection) string {
	var words []string
	for _, kind := range []struct{ source, word string }{{"static", "stat"}, {"bgp", "bgp"}} {
		n := 0
		for _, r := range c.Routes {
			if r.Source == kind.source {
				n++
			}
		}
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, kind.word))
		}
	}
	return cmp.Or(strings.Join(words, ", "), "0")
}

// span is a duration in its two largest units: 2d11h, 6h02m, 38m, 16s.
func span(d time.Duration) string {
	s := max(0, int64(d.Round(time.Second)/time.Second))
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm", s/60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s%86400/3600)
}

// octets is an amount with two digits at least: 0 B, 812 MB, 4.1 GB.
func octets(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1000, 0
	for f >= 999.5 && unit < len(units)-1 {
		f, unit = f/1000, unit+1
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %cB", f, units[unit])
	}
	return fmt.Sprintf("%.0f %cB", f, units[unit])
}

// writeRows aligns columns; the last one has no end. paint may put colours around a cell.
func writeRows(out *strings.Builder, rows [][]string, paint func(cell, text string) string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, text := range row {
			cell := text
			if i < len(row)-1 {
				cell += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2)
			}
			line.WriteString(paint(cell, text))
		}
		out.WriteString(strings.TrimRight(line.String(), " "))
		out.WriteByte('\n')
	}
}
