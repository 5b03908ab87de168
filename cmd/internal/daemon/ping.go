package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/netstack"
)

// A rostered is the answer to a roster.
type rostered struct {
	tunnels []voice
	err     error
}

// A voice is what there is to know of a tunnel in order to speak through it.
type voice struct {
	name   string
	peer   string         // "connection/tunnel"
	inside netip.Addr     // ours in it, if any
	local  []netip.Prefix // ours of the connection; nil: any
}

// roster finds a connection's tunnel, or all of them for an empty name.
func (l *loop) roster(conn, name string) (out rostered) {
	ends, _, err := l.pick(conn, name)
	if err != nil {
		return rostered{err: err}
	}
	for _, e := range ends {
		f := &e.conn.forward
		out.tunnels = append(out.tunnels, voice{e.name, e.peer, f.Tunnels[e.index].Inside, f.Local})
	}
	return out
}

// voices asks the loop for a roster.
func (d *Daemon) voices(ctx context.Context, conn, tunnel string) ([]voice, error) {
	reply := make(chan rostered, 1)
	d.mail.post(roster{conn, tunnel, reply})
	select {
	case r := <-reply:
		return r.tunnels, r.err
	case <-d.ended:
		return nil, api.Refuse(api.ShuttingDown, "the daemon is shutting down")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sources are the addresses that a ping of a target through a tunnel may come from so that the answer is heard, the best first:
// ours inside the tunnel, then this host's in the networks that the connection has for ours.
func (d *Daemon) sources(v voice, target netip.Addr) (out []netip.Addr) {
	if v.inside.IsValid() && v.inside.Is4() == target.Is4() {
		out = append(out, v.inside)
	}
	if d.host == nil {
		return out
	}
	for _, a := range ownAddresses() {
		ours := v.local == nil || slices.ContainsFunc(v.local, func(p netip.Prefix) bool { return p.Contains(a) })
		if ours && a.Is4() == target.Is4() && a.IsGlobalUnicast() {
			out = append(out, a)
		}
	}
	return out
}

// A pinger sends the echo requests of one question through some tunnels.
type pinger struct {
	pings   *netstack.Pings
	answers chan netstack.Answer
	tunnels []voice
	sources [][]netip.Addr // of each; the first is tried, and left out if no Child SA takes it
}

// newPinger finds the sources; from, if valid, is the one that is wanted. The caller closes its pings.
func (d *Daemon) newPinger(tunnels []voice, target, from netip.Addr, room int) (*pinger, error) {
	p := &pinger{tunnels: tunnels, answers: make(chan netstack.Answer, room)}
	for _, v := range tunnels {
		list := d.sources(v, target)
		if from.IsValid() {
			if !slices.Contains(list, from) {
				return nil, api.Refuse(api.BadRequest, fmt.Sprintf("%v is neither our inside address of tunnel %q nor an address of this host in the connection's networks", from, v.peer))
			}
			list = []netip.Addr{from}
		}
		p.sources = append(p.sources, list)
	}
	p.pings = d.stack.Pings(func(a netstack.Answer) {
		select {
		case p.answers <- a:
		default: // nobody waits for so many
		}
	})
	return p, nil
}

// send sends an echo request through tunnel i.
func (p *pinger) send(i int, q netstack.Ping) error {
	q.Peer = p.tunnels[i].peer
	for len(p.sources[i]) > 0 {
		q.Source = p.sources[i][0]
		err := p.pings.Send(q)
		if !errors.Is(err, datapath.ErrNoChild) {
			return err
		}
		if len(p.sources[i]) == 1 {
			return fmt.Errorf("no Child SA takes a packet from %v to %v: the tunnel is down, or its traffic selectors leave these out", q.Source, q.Target)
		}
		p.sources[i] = p.sources[i][1:]
	}
	return fmt.Errorf("no address to ping %v from: the tunnel has no inside address of its family, and this host none in the connection's local networks", q.Target)
}

// Ping pings through the tunnels that are asked for, at the same time. It is safe for concurrent use while Run runs; a refusal is an
// *api.Problem.
func (d *Daemon) Ping(ctx context.Context, q api.PingQuery) (api.Pinged, error) {
	tunnels, err := d.voices(ctx, q.Connection, q.Tunnel)
	if err != nil {
		return api.Pinged{}, err
	}
	p, err := d.newPinger(tunnels, q.Target, q.From, q.Count*len(tunnels))
	if err != nil {
		return api.Pinged{}, err
	}
	defer p.pings.Close()
	out := api.Pinged{Connection: q.Connection, Target: q.Target.String()}
	index := map[string]int{}
	for i, v := range tunnels {
		index[v.peer] = i
		out.Tunnels = append(out.Tunnels, api.TunnelPinged{Tunnel: v.name, Answers: []api.PingAnswer{}})
	}
	open := 0 // requests without an answer
	timer := time.NewTimer(0)
	defer timer.Stop()
	for seq := 1; ; {
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-d.ended:
			return out, api.Refuse(api.ShuttingDown, "the daemon is shutting down")
		case a := <-p.answers:
			open--
			to := &out.Tunnels[index[a.Peer]]
			to.Answers = append(to.Answers, showAnswer(a))
			if a.Verdict == netstack.Reply {
				to.Received++
			}
			if seq > q.Count && open == 0 {
				return out, nil
			}
		case <-timer.C:
			if seq > q.Count {
				return out, nil
			}
			for i := range tunnels {
				if p.ask(&out.Tunnels[i], i, netstack.Ping{Target: q.Target, Seq: uint16(seq), Size: q.Size}) {
					open++
				}
			}
			if seq++; seq <= q.Count {
				timer.Reset(q.Interval)
				continue
			}
			if open == 0 {
				return out, nil
			}
			timer.Reset(q.Timeout)
		}
	}
}

// ask sends one, notes what became of it, and reports whether an answer may come.
func (p *pinger) ask(to *api.TunnelPinged, i int, q netstack.Ping) bool {
	if err := p.send(i, q); err != nil {
		to.Error = api.Ptr(err.Error())
		return false
	}
	to.From = api.Ptr(p.sources[i][0].String())
	to.Sent++
	return true
}

// showAnswer is an answer as programs read it.
func showAnswer(a netstack.Answer) api.PingAnswer {
	out := api.PingAnswer{Seq: int(a.Seq), Verdict: string(a.Verdict), From: a.From.String(), TTL: a.TTL, RTTMillis: float64(a.RTT.Microseconds()) / 1000}
	if a.MTU != 0 {
		out.MTU = api.Ptr(a.MTU)
	}
	return out
}
