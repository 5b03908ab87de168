package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/config/store"
	"twinbore/tunnel"
)

// keepDown notes what an operator has taken down or brought up, so that a restart does not bring up what was taken down
// (hardening 5.1), and returns how to undo that. It refuses what is not there.
func (d *Daemon) keepDown(a api.Action) (undo func() error, err error) {
	o := d.opts.Origin
	if o == nil || !slices.Contains([]api.Verb{api.Up, api.Down, api.Restart}, a.Verb) {
		return func() error { return nil }, nil
	}
	var peers []string
	if c, ok := d.cfg.Load().Connection(a.Connection); ok {
		for _, t := range c.Tunnels {
			if a.Tunnel == "" || a.Tunnel == t.Name {
				peers = append(peers, c.Name+"/"+t.Name)
			}
		}
	}
	before := o.Store.State().Down
	set := func(down func(peer string) bool) error {
		if !slices.ContainsFunc(peers, func(peer string) bool { return o.Store.State().Down[peer] != down(peer) }) {
			return nil // and there may be no store that could be written
		}
		return o.Store.Update(func(tx *store.Tx) error {
			for _, peer := range peers {
				tx.SetDown(peer, down(peer))
			}
			return nil
		})
	}
	if err := set(func(string) bool { return a.Verb == api.Down }); err != nil {
		return nil, api.Refuse(api.NotKept, fmt.Sprintf("%s %s: %v", a.Verb, strings.Join(peers, ", "), err))
	}
	return func() error { return set(func(peer string) bool { return before[peer] }) }, nil
}

// keptAct does what an operator asks for, and keeps it.
func (d *Daemon) keptAct(ctx context.Context, a api.Action) (api.Done, error) {
	undo, err := d.keepDown(a)
	if err != nil {
		return api.Done{}, err
	}
	done, err := d.Act(ctx, a)
	if err != nil {
		return api.Done{}, errors.Join(err, undo())
	}
	return done, nil
}

// begin starts the life of a connection. What an operator took down before the daemon was started stays down.
func (l *loop) begin(ctx context.Context, now time.Time, c *connection) {
	for i, e := range c.ends {
		if e.heldDown {
			l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.AdminDown, Tunnel: i})
		}
	}
	l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Begin})
}

// tagsOf are a connection's, as the status has them.
func tagsOf(c config.Connection) map[string]string {
	if c.Tags == nil {
		return map[string]string{}
	}
	return c.Tags
}
