package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/esp"
	"twinbore/ike"
	"twinbore/ike/session"
	"twinbore/tunnel"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/netstack"
)

// What comes into the loop by mail, besides session.Event.
type (
	begin   struct{}
	acquire struct {
		conn          string
		local, remote esp.Selector // of a packet that waits
	}
	found struct { // the outer addresses of a tunnel's next attempt
		end    *end
		number int // of the search
		path   esp.Path
		reason tunnel.Reason // why there is none; empty: there is
		hint   string
	}
	question struct{ reply chan api.Status }
	order    struct {
		action api.Action
		reply  chan result
	}
	result struct {
		done api.Done
		err  error
	}
	roster struct { // which tunnels a name stands for
		conn, tunnel string
		reply        chan rostered
	}
	stirred struct{} // the host's network has changed
	secured struct { // a tunnel has a secret, which it had not
		peer string
	}
	stop struct{}
)

// A loop owns the connections: everything that it has is its goroutine's.
type loop struct {
	log      *slog.Logger
	mail     *mailbox
	recorder *recorder
	timeline *timeline
	engine   *ike.Engine
	gateway  *datapath.Gateway
	stack    *netstack.Stack
	pings    *netstack.Pings // of the connections' logic
	ledger   *ledger
	routes   *routes
	domains  []*domainTable
	keeper   *keeper
	finder   finder
	head     api.Gateway // what does not change of the status
	started  time.Time
	conns    []*connection
	leaving  []*connection   // that are not configured any more: their SAs are being deleted
	parting  map[string]*end // tunnels that are not configured any more, by peer: their SAs are being deleted
	restarts []*restarts     // of connections
	parted   chan struct{}   // holds one token when one of these two is gone
	stopping bool            // nothing more is to come
	ended    int             // how many of conns are known to be deleted, then
	ends     map[string]*end // by peer, "connection/tunnel"
	deleted  chan struct{}   // closed once every connection is deleted

	carriers    func() ([]netip.Addr, error) // this host's addresses that packets can leave with; nil: the network is not its
	carried     []netip.Addr                 // as last looked at
	stirredAt   time.Time                    // the network has changed and was not looked at since; zero: no
	lookedUntil time.Time                    // it is not looked at before

	watchAt time.Time // when connections' packets are looked at next, zero: there are none to look at
}

// A connection is one VPN connection: what decides for it, and what the status shows besides.
type connection struct {
	shown     api.Connection      // name, id, role, routing and domain are set
	networks  []netip.Prefix      // behind the peer, by the configuration
	added     []netip.Prefix      // behind the peer, by what an operator has said since
	selective bool                // only the configured networks pass its SAs
	backupOf  string              // the connection whose networks it may have too
	forward   datapath.Connection // as the data path has it
	encap     config.Encap
	config    tunnel.Config // logic's
	logic     *tunnel.Connection
	ends      []*end
	followed  []string // the tunnels by which answers may leave
	up        bool     // its routes are
	gone      bool     // the data path does not know it any more
	onTraffic bool     // a packet makes it begin
	waiting   acquire  // the last of these packets
	waitingAt time.Time
	wake      time.Time
	used      time.Time // when packets were last seen to pass its tunnels

	lookAt, lookedAt time.Time // when its packets are looked at next, and were last
	lookPace         time.Duration
	balance          balance // of the packets of hosts
}

// An end is one tunnel of a connection.
type end struct {
	conn   *connection
	index  int
	name   string
	peer   string     // "connection/tunnel"
	local  netip.Addr // our outer address; invalid: by the route to the peer
	remote string     // the peer's outer address or host name; empty: any, we cannot begin
	inside *string

	heldDown bool // an operator took it down before this process began

	ikes     []session.IKEInfo // newest last
	children []session.ChildInfo
	path     esp.Path   // outer addresses last used
	leaves   netip.Addr // our address by the route to the peer, as last looked at
	cut      bool       // the host's network had no way to the peer then
	search   int        // number of the search for addresses that counts
	failure  *api.Failure
	missed   netip.Addr  // the peer's address of the last attempt that brought no IKE SA
	lost     string      // why the last search found none
	changed  []time.Time // when the tunnel last came or went, the oldest first
	partBy   time.Time   // it is not configured any more, and what its peer says is not waited for after this
	pulse    pulse
}

// run serves the mail and the connections' deadlines until ctx is done.
func (l *loop) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if at := l.nextWake(); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return
		case <-l.mail.ready:
		case <-timer.C:
		}
		for _, mail := range l.mail.take() {
			l.handle(ctx, time.Now(), mail)
		}
		now := time.Now()
		if !l.stirredAt.IsZero() && !now.Before(l.lookedUntil) {
			l.stirredAt = time.Time{}
			l.look(ctx, now)
		}
		if !l.watchAt.IsZero() && !now.Before(l.watchAt) {
			l.watch(ctx, now)
		}
		for _, c := range l.every() {
			if !c.wake.IsZero() && !c.wake.After(now) {
				l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Wake})
			}
		}
		l.restartNext(ctx, now)
		l.partWith(now)
	}
}

// every returns all connections: those that are configured and those that are on their way out.
func (l *loop) every() []*connection {
	if len(l.leaving) == 0 {
		return l.conns
	}
	return slices.Concat(l.conns, l.leaving)
}

func (l *loop) nextWake() time.Time {
	var first time.Time
	if !l.stirredAt.IsZero() {
		first = l.lookedUntil
	}
	first = sooner(first, l.watchAt)
	for _, c := range l.conns {
		first = sooner(first, c.wake)
	}
	for _, c := range l.leaving {
		first = sooner(first, c.wake)
	}
	for _, e := range l.parting {
		first = sooner(first, e.partBy)
	}
	for _, r := range l.restarts {
		first = sooner(first, r.until)
	}
	return first
}

// sooner returns the earlier of two times; zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (l *loop) handle(ctx context.Context, now time.Time, mail any) {
	switch m := mail.(type) {
	case begin:
		for _, c := range l.conns {
			l.begin(ctx, now, c)
		}
	case *swap:
		l.swap(ctx, now, m)
	case stop:
		l.stopping = true
		for _, c := range l.conns {
			l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Delete})
		}
		l.checkDeleted(now)
	case session.Event:
		l.observe(ctx, now, m)
	case acquire:
		for _, c := range l.conns {
			if c.shown.Name == m.conn {
				c.waiting, c.waitingAt = m, now
				l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Traffic})
			}
		}
	case found:
		l.start(ctx, now, m)
	case pinged:
		l.fact(ctx, now, m.peer, tunnel.Event{Kind: tunnel.PingAnswered, Number: m.number, RTT: m.rtt})
	case vouched:
		l.fact(ctx, now, m.peer, tunnel.Event{Kind: tunnel.IKEAnswered})
	case doubted:
		l.inquired(ctx, now, m.peer)
	case stirred:
		l.stirredAt = now
	case secured:
		if e := l.ends[m.peer]; e != nil { // a retry need not wait for its time
			l.tell(ctx, now, e.conn, tunnel.Event{Kind: tunnel.Reachable, Tunnel: e.index})
		}
	case roster:
		m.reply <- l.roster(m.conn, m.tunnel)
	case question:
		m.reply <- l.status(now)
	case routeQuestion:
		got, err := l.showRoutes(now, m.connection)
		m.reply <- routesAnswer{got, err}
	case routeOrder:
		m.reply <- l.changeRoutes(now, m)
	case order:
		done, err := l.act(ctx, now, m.action)
		m.reply <- result{done, err}
	default:
		panic(fmt.Sprintf("bug: mail of type %T", mail))
	}
}

// tell gives an event to a connection and does what it answers.
func (l *loop) tell(ctx context.Context, now time.Time, c *connection, ev tunnel.Event) {
	l.obey(ctx, now, c, c.logic.Handle(now, ev))
	if ev.Kind == tunnel.Drain || ev.Kind == tunnel.Undrain {
		l.follow(now, c)
	}
}

// obey does what a connection has answered.
func (l *loop) obey(ctx context.Context, now time.Time, c *connection, out tunnel.Output) {
	c.wake = out.Wake
	if out.Choose.Changed && !c.gone { // first: packets are waiting for it
		l.choose(c, out.Choose.Tunnels)
	}
	for _, cmd := range out.IKE {
		l.command(ctx, now, c, cmd)
	}
	for _, cmd := range out.Probe {
		l.probe(c, cmd)
	}
	if len(out.Choose.Tunnels) > 0 {
		l.watchFrom(now, c)
	}
	if out.Routes.Changed {
		l.routed(now, c, out.Routes.Up)
	}
	for _, ch := range out.Changes {
		l.record(now, c, ch)
	}
	if len(out.Changes) > 0 {
		l.follow(now, c)
		l.checkDeleted(now)
	}
}

func (l *loop) choose(c *connection, tunnels []int) {
	if err := l.gateway.Choose(c.shown.Name, c.names(tunnels)...); err != nil {
		panic("bug: the data path and the loop disagree: " + err.Error())
	}
}

// names returns those of tunnels.
func (c *connection) names(tunnels []int) []string {
	var names []string
	for _, i := range tunnels {
		names = append(names, c.ends[i].name)
	}
	return names
}

func (l *loop) command(ctx context.Context, now time.Time, c *connection, cmd tunnel.IKECommand) {
	e := c.ends[cmd.Tunnel]
	reason := session.Reason(cmd.Reason)
	switch cmd.Do {
	case tunnel.Initiate:
		e.search++
		l.finder.find(ctx, e, e.search, l.mail)
	case tunnel.Close, tunnel.Discard:
		e.search++ // what is being looked for is not wanted any more
		l.engine.Do(e.peer, session.Close{Quiet: cmd.Do == tunnel.Discard, Reason: reason})
	case tunnel.Bar, tunnel.Admit:
		l.engine.Admit(e.peer, cmd.Do == tunnel.Admit)
	}
}

// start begins an attempt whose addresses were found, or says that they were not.
func (l *loop) start(ctx context.Context, now time.Time, f found) {
	if f.number != f.end.search {
		return
	}
	if f.reason != "" {
		if f.hint != f.end.lost { // once, not at each attempt
			l.log.Warn("no outer address", "peer", f.end.peer, "reason", string(f.reason), "hint", f.hint)
		}
		f.end.lost = f.hint
		l.recorder.note(f.end, now, "no outer address", string(f.reason), f.hint)
		l.tell(ctx, now, f.end.conn, tunnel.Event{Kind: tunnel.Failed, Tunnel: f.end.index, Reason: f.reason, Hint: f.hint, Initiator: true})
		return
	}
	f.end.lost, f.end.missed = "", f.path.Remote.Addr()
	if len(f.end.ikes) == 0 {
		f.end.path = f.path
	}
	l.routes.pin(f.end.peer, f.path.Remote.Addr())
	cmd := session.Initiate{Path: f.path}
	if c := f.end.conn; c.onTraffic && now.Sub(c.waitingAt) < packetWaits { // it is asked for first (RFC 7296 §2.9)
		cmd.Local, cmd.Remote = []esp.Selector{c.waiting.local}, []esp.Selector{c.waiting.remote}
	}
	l.engine.Do(f.end.peer, cmd)
}

// packetWaits is how long a packet that waits says what to ask for; it is not kept longer either.
const packetWaits = 10 * time.Second

// checkDeleted forgets connections whose time is over, and says when nothing is left at the end.
func (l *loop) checkDeleted(now time.Time) {
	l.partWith(now)
	if !l.stopping {
		return
	}
	for ; l.ended < len(l.conns); l.ended++ {
		if l.conns[l.ended].logic.Report(now).State != tunnel.Deleted {
			return
		}
	}
	if len(l.leaving) > 0 {
		return
	}
	select {
	case <-l.deleted:
	default:
		close(l.deleted)
	}
}
