package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/routing/domain"
)

// A Report says what a change of the configuration came to.
type Report struct {
	Plan config.Plan
	// Restarts are the tunnels, "connection/tunnel", that are being restarted, in order. Those of one connection that were up
	// go one after the other, which takes longer than the change itself.
	Restarts []string
}

// A RestartError says that keys can only change with a restart of the gateway. Nothing was applied.
type RestartError struct {
	Keys []string // their paths
}

func (e *RestartError) Error() string {
	return strings.Join(e.Keys, ", ") + " can only change with a restart of the gateway; nothing was applied"
}

// Plan says what Reconfigure would do. It is safe for concurrent use.
func (d *Daemon) Plan(to *config.Config) config.Plan { return config.Diff(d.cfg.Load(), to) }

// Reconfigure brings the running gateway to another configuration, which it keeps. What is not different is not touched: its SAs
// stay. When there is an error everything is as before; a *RestartError names keys that cannot change now, config.Problems say
// which secrets cannot be had. It is safe for concurrent use while Run runs; one change waits for another.
func (d *Daemon) Reconfigure(ctx context.Context, to *config.Config) (Report, error) {
	return d.reconfigure(ctx, to, change{})
}

// A change says how a configuration is brought about.
type change struct {
	parallel bool          // both tunnels of a connection at once
	confirm  time.Duration // unless it is confirmed within this, the configuration before comes back; 0: it stays
	back     bool          // to a configuration that ran before: whatever has become of its secrets
}

func (d *Daemon) reconfigure(ctx context.Context, to *config.Config, how change) (Report, error) {
	if err := d.begin(ctx); err != nil {
		return Report{}, err
	}
	defer d.done()
	if err := d.unconfirmed(); err != nil {
		return Report{}, err
	}
	began, before := time.Now(), d.cfg.Load()
	report, err := d.bringTo(ctx, to, how)
	if err != nil {
		d.rejected(err)
		return Report{}, err
	}
	if how.confirm > 0 {
		d.makePromise(&promise{before, time.Now().Add(how.confirm)})
	}
	d.took(to, report, began, "config.reloaded")
	return report, nil
}

// begin makes the caller the only one that changes the configuration, until done.
func (d *Daemon) begin(ctx context.Context) error {
	select {
	case d.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Daemon) done() { <-d.changing }

// took goes on with a configuration and makes known what it came to.
func (d *Daemon) took(cfg *config.Config, report Report, began time.Time, kind string) {
	d.cfg.Store(cfg)
	token(d.taken)
	if d.opts.SetLogLevel != nil {
		d.opts.SetLogLevel(cfg.Gateway.Log.Level)
	}
	p := report.Plan
	attrs := []string{"added", strconv.Itoa(p.Count(config.Added)), "removed", strconv.Itoa(p.Count(config.Removed)), "changed", strconv.Itoa(p.Count(config.Changed)),
		"unchanged", strconv.Itoa(p.Unchanged), "restarts", strconv.Itoa(len(report.Restarts))}
	if p := d.promised(); p != nil {
		attrs = append(attrs, "confirm_until", stamp(p.until))
	}
	line := []any{"took", time.Since(began).Round(time.Millisecond)}
	for i := 0; i < len(attrs); i += 2 {
		line = append(line, attrs[i], attrs[i+1])
	}
	d.log.Info("configuration reloaded", line...)
	d.timeline.put(time.Now(), "", happening{kind: kind, warn: kind == "config.rolled_back", message: p.Summary(), attrs: attrs})
}

// rejected makes it known that a configuration was not taken.
func (d *Daemon) rejected(err error) {
	d.log.Error("configuration rejected: the one before stays", "err", err)
	errs := 1
	if problems, ok := errors.AsType[config.Problems](err); ok {
		errs = problems.Count(config.Error)
	}
	d.timeline.put(time.Now(), "", happening{kind: "config.rejected", warn: true, message: err.Error(), attrs: []string{"errors", strconv.Itoa(errs)}})
}

// bringTo does everything that may fail, and then has the loop do the rest.
func (d *Daemon) bringTo(ctx context.Context, to *config.Config, how change) (Report, error) {
	plan := d.Plan(to)
	if keys := plan.Refused(); keys != nil {
		return Report{}, &RestartError{keys}
	}
	for _, c := range to.Connections {
		if c.Enabled && c.Encap == config.EncapNever && !d.bare {
			return Report{}, fmt.Errorf("connection %q has encap: never, and this gateway has no socket for ESP without UDP: restart it", c.Name)
		}
	}
	at := map[string]int{} // of what is new or has changed
	var touched []int
	for _, c := range plan.Connections {
		if c.Op != config.Removed {
			at[c.Name] = slices.IndexFunc(to.Connections, func(o config.Connection) bool { return o.Name == c.Name })
			touched = append(touched, at[c.Name])
		}
	}
	secrets := d.keeper.prepare(ctx, to, touched)
	defer secrets.end()
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	s, err := d.newSwap(to, plan, at, secrets, how)
	if err != nil {
		return Report{}, err
	}
	link, err := d.relink(to)
	if err != nil {
		return Report{}, err
	}
	done, err := d.post(ctx, s)
	if err != nil {
		link()
		return Report{}, err
	}
	secrets.commit(context.WithoutCancel(ctx))
	return Report{Plan: plan, Restarts: done.restarts}, nil
}

// newSwap makes what the loop needs.
func (d *Daemon) newSwap(to *config.Config, plan config.Plan, at map[string]int, secrets *handover, how change) (*swap, error) {
	s := &swap{plan: plan, made: map[string]*connection{}, domains: map[string]domain.Config{}, parallel: how.parallel}
	for _, dom := range to.Domains {
		s.domains[dom.Name] = domainOf(to, dom)
	}
	for _, c := range to.Connections {
		if !c.Enabled {
			continue
		}
		made, err := newConnection(to, c, d.opts, time.Now())
		if err != nil {
			return nil, err
		}
		s.order, s.made[c.Name] = append(s.order, c.Name), made
	}
	var missing config.Problems
	for _, change := range plan.Connections {
		if change.Op == config.Removed {
			continue
		}
		i := at[change.Name]
		c := to.Connections[i]
		for j, t := range c.Tunnels {
			peer := c.Name + "/" + t.Name
			found := secrets.of(i, peer)
			needed := change.Op == config.Added || class(change, t.Name) != config.InPlace
			if found.err != nil && (needed || !found.usable(peer)) {
				path := fmt.Sprintf("connections[%d].tunnels[%d]", i, j)
				missing = append(missing, config.Problem{Pos: to.Pos(path), Severity: config.Error, Path: path,
					Text: fmt.Sprintf("tunnel %s: secret not available: %v", peer, found.err)})
			}
			p, err := d.peer(to.Gateway, c, t, d.opts, found.use)
			if err != nil {
				return nil, err
			}
			if change.Op == config.Changed && class(change, t.Name) == config.TunnelRestart {
				s.replaced = append(s.replaced, p)
			} else {
				s.set = append(s.set, p)
			}
		}
	}
	if missing != nil && !how.back {
		return nil, missing
	}
	return s, nil
}

// class is what a change costs one tunnel.
func class(c config.ConnectionChange, tunnel string) config.Class {
	i := slices.IndexFunc(c.Tunnels, func(t config.TunnelChange) bool { return t.Name == tunnel })
	return c.Tunnels[i].Class
}

// relink gives each domain's device the inside addresses and the MTU that it is to have, and returns how to undo it.
func (d *Daemon) relink(to *config.Config) (undo func(), err error) {
	var done []func()
	undo = func() {
		for _, f := range slices.Backward(done) {
			f()
		}
	}
	if d.host == nil {
		return undo, nil
	}
	before := d.cfg.Load()
	for _, dom := range to.Domains {
		addrs, mtu := linkOf(before, dom.Name)
		wantAddrs, wantMTU := linkOf(to, dom.Name)
		if slices.Equal(addrs, wantAddrs) && mtu == wantMTU {
			continue
		}
		done = append(done, func() {
			if err := d.host.SetLink(dom.Name, addrs, mtu); err != nil {
				d.log.Error("the device is not as it was", "err", err)
			}
		})
		if err := d.host.SetLink(dom.Name, wantAddrs, wantMTU); err != nil {
			undo()
			return nil, err
		}
	}
	return undo, nil
}

// linkOf is what the device of a domain has by a configuration.
func linkOf(cfg *config.Config, domain string) ([]netip.Prefix, int) {
	conns := slices.DeleteFunc(enabled(cfg), func(c config.Connection) bool { return c.Domain != domain })
	mtu := cfg.Gateway.Datapath.TUN.MTU
	if mtu == 0 {
		mtu = deviceMTU(conns)
	}
	return insideAddresses(conns), mtu
}

func enabled(cfg *config.Config) []config.Connection {
	return slices.DeleteFunc(slices.Clone(cfg.Connections), func(c config.Connection) bool { return !c.Enabled })
}

// post gives a swap to the loop and waits for what comes of it. Names that are still in use by what is being deleted are
// waited for.
func (d *Daemon) post(ctx context.Context, s *swap) (swapped, error) {
	for {
		s.reply = make(chan swapped, 1)
		d.mail.post(s)
		select {
		case r := <-s.reply:
			if r.err != errParting {
				return r, r.err
			}
		case <-d.ended:
			return swapped{}, api.Refuse(api.ShuttingDown, "the daemon is shutting down")
		}
		select {
		case <-d.loop.parted:
		case <-d.ended:
		case <-ctx.Done():
			return swapped{}, ctx.Err()
		}
	}
}
