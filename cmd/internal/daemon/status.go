package daemon

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/routing/domain"
	"twinbore/tunnel"
)

// status says how everything stands.
func (l *loop) status(now time.Time) api.Status {
	st := api.Status{SchemaVersion: api.SchemaVersion, Gateway: l.head, Connections: []api.Connection{}}
	st.Gateway.UptimeSeconds = int64(now.Sub(l.started) / time.Second)
	st.Gateway.Drops, st.Gateway.OffloadsGivenUp = l.gateway.Drops(), append([]string{}, l.gateway.GivenUp()...)
	routes := l.routesOf()
	for _, c := range l.every() {
		st.Connections = append(st.Connections, l.showConnection(now, c, routes[c]))
	}
	return st
}

func (l *loop) showConnection(now time.Time, c *connection, routes []domain.Route) api.Connection {
	report := c.logic.Report(now)
	out := c.shown
	out.State, out.Since, out.Note = report.State.String(), api.Stamp(report.Since), api.Ptr(report.Note)
	out.OneWay = api.Ptr(c.balance.verdict(now))
	out.Routes, out.Tunnels = []api.Route{}, []api.Tunnel{}
	if report.Active >= 0 {
		out.ActiveTunnel = api.Ptr(c.ends[report.Active].name)
	}
	for _, r := range routes {
		installed, _ := l.routes.installed(hostRoute{out.Domain, r.Prefix})
		out.Routes = append(out.Routes, api.Route{Prefix: r.Prefix.String(), Source: r.Source.Origin().String(), Tunnel: out.ActiveTunnel,
			Installed: installed && r.State == domain.Active})
	}
	for i, e := range c.ends {
		out.Tunnels = append(out.Tunnels, l.showTunnel(now, e, report.Tunnels[i]))
	}
	return out
}

func (l *loop) showTunnel(now time.Time, e *end, report tunnel.TunnelReport) api.Tunnel {
	out := api.Tunnel{Name: e.name, Status: "DOWN", Since: api.Stamp(report.Since), Reason: string(report.Reason), Hint: report.Hint,
		Admin: "up", Inside: e.inside, Children: []api.Child{}}
	if report.Up {
		out.Status = "UP"
	}
	switch {
	case report.AdminDown:
		out.Admin = "down"
	case report.Drained:
		out.Admin = "drained"
	case report.Draining:
		out.Admin = "draining"
	}
	if !report.NextRetry.IsZero() {
		out.NextRetry = api.Ptr(api.Stamp(report.NextRetry))
	}
	local := ""
	if e.local.IsValid() {
		local = e.local.String()
	}
	out.Local, out.Remote = showOuter(e.path.Local, local), showOuter(e.path.Remote, e.remote)
	out.Failure = e.failure
	if out.Key = l.keeper.show(e.peer); out.Key != nil && out.Key.Problem != nil && report.Reason == tunnel.SecretUnavailable {
		out.Hint = *out.Key.Problem
	}
	if len(e.ikes) > 0 {
		out.IKE = showIKE(now, e.ikes[len(e.ikes)-1])
	}
	for _, c := range e.children {
		shown := showChild(now, c)
		shown.Encap, shown.EncapReason = e.showEncap(c)
		out.Children = append(out.Children, shown)
	}
	out.Active, out.Probe = report.Active, showProbe(report.Probe)
	t := l.gateway.Traffic(e.peer)
	maps.Copy(t.Drops, l.stack.Drops(e.peer))
	out.Traffic = api.Traffic{RXBytes: t.RxBytes, TXBytes: t.TxBytes, RXPackets: t.RxPackets, TXPackets: t.TxPackets, Drops: t.Drops,
		LatePackets: t.LatePackets, LateBy: t.LateBy}
	if !t.LastRx.IsZero() {
		out.Traffic.LastRX = api.Ptr(api.Stamp(t.LastRx))
	}
	return out
}

// showProbe is what pings say; nothing where there were none.
func showProbe(p tunnel.ProbeReport) *api.Probe {
	if !p.Asked && !p.Suspect {
		return nil
	}
	out := &api.Probe{LossPercent: math.Round(p.Loss*10) / 10, Suspect: p.Suspect}
	if p.RTT > 0 {
		out.RTTMillis = api.Ptr(float64(p.RTT.Round(10*time.Microsecond)) / float64(time.Millisecond))
	}
	return out
}

// showOuter is an outer address in use; while none is, what the configuration says: an address, a host name or nothing.
func showOuter(used netip.AddrPort, configured string) *string {
	if used.IsValid() {
		return api.Ptr(used.String())
	}
	return api.Ptr(configured)
}

func showIKE(now time.Time, i session.IKEInfo) *api.IKE {
	out := &api.IKE{Version: i.Version, Role: "responder", SPIInitiator: fmt.Sprintf("%016x", i.SPIi), SPIResponder: fmt.Sprintf("%016x", i.SPIr),
		Suite: i.Suite, Established: api.Stamp(i.Established), RekeyInSeconds: secondsTo(now, i.RekeyAt), NAT: i.NAT,
		LocalID: i.LocalID, RemoteID: i.RemoteID, Secret: api.Ptr(i.Secret), PPK: api.Ptr(i.PPK)}
	if i.Initiator {
		out.Role = "initiator"
	}
	return out
}

func showChild(now time.Time, c session.ChildInfo) api.Child {
	return api.Child{SPIIn: c.SPIIn.String(), SPIOut: c.SPIOut.String(), Suite: c.Suite, ESN: c.ESN,
		Established: api.Stamp(c.Established), RekeyInSeconds: secondsTo(now, c.RekeyAt), LocalTS: showSelectors(c.Local),
		RemoteTS: showSelectors(c.Remote)}
}

func showSelectors(list []esp.Selector) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, s.String())
	}
	return out
}

// secondsTo is how long from now to at, not below zero; nil for never.
func secondsTo(now, at time.Time) *int64 {
	if at.IsZero() {
		return nil
	}
	s := max(0, int64(at.Sub(now)/time.Second))
	return &s
}
