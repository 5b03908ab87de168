package main

import (
	"fmt"
	"strings"
	"time"

	"twinbore/cmd/internal/api"
)

// failures tells, for each tunnel whose last negotiation failed, what both ends wanted (F3). What a tunnel that is UP has
// overcome is not told.
func failures(st api.Status, now time.Time) string {
	var out strings.Builder
	for _, c := range st.Connections {
		for _, t := range c.Tunnels {
			if f := t.Failure; f != nil && f.About != nil && !(t.Status == "UP" && f.Time.Before(t.Since)) {
				writeFailure(&out, c.Name+"/"+t.Name, f, now)
			}
		}
	}
	return out.String()
}

func writeFailure(out *strings.Builder, tunnel string, f *api.Failure, now time.Time) {
	fmt.Fprintf(out, "\n%s  %s %s ago: the %s\n", tunnel, f.Reason, span(now.Sub(f.Time)), *f.About)
	what := "WHAT"
	if strings.HasSuffix(*f.About, "proposal") {
		what = "TRANSFORM"
	}
	rows := [][]string{{"", what, "WE", "THEY"}}
	for _, t := range f.Transforms {
		mark := ""
		if t.Differs {
			mark = "✗"
		}
		rows = append(rows, []string{mark, t.What, words(t.Ours), theirs(f, t.Theirs)})
	}
	writeRows(out, rows, func(cell, _ string) string { return cell })
	for _, side := range []struct {
		who  string
		list []string
	}{{"we:   ", f.Ours}, {"they: ", f.Theirs}} {
		if len(side.list) > 0 {
			fmt.Fprintf(out, "%s%s\n", side.who, printable(strings.Join(side.list, ", ")))
		}
	}
}

// theirs is the peer's side of a row; a peer that only refuses says nothing.
func theirs(f *api.Failure, list []string) string {
	if !f.Told {
		return "not told"
	}
	return words(list)
}

func words(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return printable(strings.Join(list, ", "))
}
