package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/netstack"
)

// How a size is tried: a probe can be lost for other reasons, so one is not believed when it does not come back.
const (
	mtuTries    = 3
	mtuFirst    = time.Second            // for the first answer, which says how long the others take
	mtuPatience = 200 * time.Millisecond // for the others at least
)

// MTU measures how large packets may be in the tunnels that are asked for. It is safe for concurrent use while Run runs; a refusal is
// an *api.Problem.
func (d *Daemon) MTU(ctx context.Context, q api.MTUQuery) (api.Measured, error) {
	tunnels, err := d.voices(ctx, q.Connection, q.Tunnel)
	if err != nil {
		return api.Measured{}, err
	}
	out := api.Measured{Connection: q.Connection, Target: q.Target.String(), Tunnels: make([]api.TunnelMeasured, len(tunnels))}
	var all sync.WaitGroup
	for i, v := range tunnels {
		p, err := d.newPinger(tunnels[i:i+1], q.Target, q.From, 2*mtuTries)
		if err != nil {
			return api.Measured{}, err
		}
		to := &out.Tunnels[i]
		to.Tunnel, to.Around = v.name, []api.Overhead{}
		all.Go(func() {
			defer p.pings.Close()
			m := measurement{pinger: p, target: q.Target, ended: d.ended, to: to}
			fit, ok := d.gateway.Fit(v.peer)
			err := errors.New("the tunnel is down")
			if ok {
				showFit(to, fit)
				err = m.measure(ctx, fit)
			}
			if err != nil {
				to.Error = api.Ptr(err.Error())
			}
		})
	}
	all.Wait()
	return out, ctx.Err()
}

func showFit(to *api.TunnelMeasured, f datapath.Fit) {
	to.PathMTU, to.InnerMTU, to.Suite = f.Path, f.Inner, f.Algorithm.Name
	version := "IPv4"
	if f.IPv6 {
		version = "IPv6"
	}
	for _, o := range []api.Overhead{{What: version + " header", Octets: f.IP}, {What: "UDP header", Octets: f.UDP}, {What: "ESP header", Octets: f.ESP},
		{What: "initialization vector", Octets: f.IV}, {What: "trailer and padding", Octets: f.Rest}, {What: "integrity check value", Octets: f.ICV}} {
		if o.Octets != 0 {
			to.Around = append(to.Around, o)
		}
	}
}

// A measurement is that of one tunnel.
type measurement struct {
	*pinger
	target netip.Addr
	ended  <-chan struct{}
	to     *api.TunnelMeasured
	seq    uint16
	wait   time.Duration // for an answer
}

// measure finds the largest packet that is answered, between the smallest and the largest that the tunnel takes.
func (m *measurement) measure(ctx context.Context, fit datapath.Fit) error {
	headers := 28
	if m.target.Is6() {
		headers = 48
	}
	m.wait = mtuFirst
	passes, err := m.try(ctx, headers, headers)
	switch {
	case err != nil:
		return err
	case !passes:
		return fmt.Errorf("%v does not answer", m.target)
	}
	good, bad := headers, fit.Inner+1
	for next := fit.Inner; bad-good > 1; {
		if passes, err = m.try(ctx, next, headers); err != nil {
			return err
		}
		if passes {
			good = next
		} else {
			bad = next
		}
		next = (good + bad) / 2
		if r := m.to.Refused; r != nil && r.MTU != nil && *r.MTU > good && *r.MTU < bad {
			next = *r.MTU // somebody said it
		}
	}
	m.to.Measured, m.to.Outer = api.Ptr(good), api.Ptr(fit.Outer(good))
	return nil
}

// try reports whether a packet of size octets, of which some are headers, is answered.
func (m *measurement) try(ctx context.Context, size, headers int) (passes bool, err error) {
	first := m.seq + 1
	for range mtuTries {
		m.seq++
		err := m.send(0, netstack.Ping{Target: m.target, Seq: m.seq, Size: size - headers, Whole: true})
		switch {
		case errors.Is(err, syscall.EMSGSIZE): // this host's own interface is the narrowest place
			return false, nil
		case err != nil:
			return false, err
		}
		m.to.Probes++
		m.to.From = api.Ptr(m.sources[0][0].String())
		timer := time.NewTimer(m.wait)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return false, ctx.Err()
			case <-m.ended:
				return false, errors.New("the daemon is shutting down")
			case <-timer.C:
				waiting = false
			case a := <-m.answers:
				switch {
				case a.Seq < first: // of another size, late
				case a.Verdict == netstack.Reply:
					m.wait = max(mtuPatience, 3*a.RTT)
					return true, nil
				case a.Verdict == netstack.TooBig:
					m.to.Refused = &api.Refused{By: a.From.String()}
					if a.MTU != 0 {
						m.to.Refused.MTU = api.Ptr(a.MTU)
					}
					return false, nil
				default:
					return false, fmt.Errorf("%v says that %v is %s", a.From, m.target, a.Verdict)
				}
			}
		}
		timer.Stop()
	}
	return false, nil
}
