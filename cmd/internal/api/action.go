package api

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
)

// A Verb is what an operator may ask for.
type Verb string

const (
	Up      Verb = "up"
	Down    Verb = "down"
	Restart Verb = "restart"
	Rekey   Verb = "rekey"
	Drain   Verb = "drain"
	Undrain Verb = "undrain"
)

var verbs = []Verb{Up, Down, Restart, Rekey, Drain, Undrain}

// An Action is something to do to a connection or to one of its tunnels.
type Action struct {
	Verb       Verb
	Connection string
	Tunnel     string // empty: every tunnel of the connection
	SA         string // of Rekey: "ike", "child", or empty for both
}

// Done says what an Action reached.
type Done struct {
	Connection string   `json:"connection"`
	Tunnels    []string `json:"tunnels"`
}

// path is where the action is posted.
func (a Action) path() string {
	p := "/v1/connections/" + url.PathEscape(a.Connection)
	if a.Tunnel != "" {
		p += "/tunnels/" + url.PathEscape(a.Tunnel)
	}
	p += "/actions/" + string(a.Verb)
	if a.SA != "" {
		p += "?sa=" + url.QueryEscape(a.SA)
	}
	return p
}

// check refuses what no daemon can do.
func (a Action) check() error {
	switch {
	case !slices.Contains(verbs, a.Verb):
		return fmt.Errorf("no action %q: have up, down, restart, rekey, drain and undrain", a.Verb)
	case a.Verb == Drain && a.Tunnel == "":
		return errors.New("drain is for one tunnel: its traffic needs another one")
	case a.SA != "" && a.Verb != Rekey:
		return errors.New("sa is for rekey only")
	case a.SA != "" && a.SA != "ike" && a.SA != "child":
		return fmt.Errorf("no sa %q: have ike and child", a.SA)
	}
	return nil
}
