package daemon

import (
	"context"
	"fmt"
	"net/netip"

	"twinbore/config"
	"twinbore/esp"
	"twinbore/ike"
	"twinbore/ike/auth"
	"twinbore/ike/ikev2"
)

// peers makes of each enabled tunnel what the engine needs to know, its secrets included, which the keeper keeps from then
// on. A secret that cannot be had now stops its tunnel and no other (SEC-04).
func (d *Daemon) peers(ctx context.Context, cfg *config.Config, opts Options) ([]ike.Peer, error) {
	secrets := d.keeper.use(ctx, cfg)
	var peers []ike.Peer
	for _, c := range cfg.Connections {
		if !c.Enabled {
			continue
		}
		for _, t := range c.Tunnels {
			p, err := d.peer(cfg.Gateway, c, t, opts, secrets[c.Name+"/"+t.Name])
			if err != nil {
				return nil, err
			}
			peers = append(peers, p)
		}
	}
	return peers, nil
}

// peer is one tunnel for the engine.
func (d *Daemon) peer(g config.Gateway, c config.Connection, t config.Tunnel, opts Options, s ike.Secrets) (ike.Peer, error) {
	p, err := peerOf(g, c, t, opts)
	if err != nil {
		return p, fmt.Errorf("tunnel %s: %w", p.Peer, err)
	}
	p.LocalID, p.Auth, p.PPK = s.LocalID, s.Auth, s.PPK
	p.Encap = d.encapOf(c.Encap)
	return p, nil
}

// peerOf translates one tunnel.
func peerOf(g config.Gateway, c config.Connection, t config.Tunnel, opts Options) (ike.Peer, error) {
	p := ike.Peer{
		LocalAddrs:  outerAddrs(t.Local),
		RemoteAddrs: outerAddrs(t.Remote.Addr),
		Config: ikev2.Config{
			Peer:           c.Name + "/" + t.Name,
			IKE:            c.IKE,
			ESP:            c.ESP,
			Local:          selectorsFor(c.LocalTS()),
			Remote:         selectorsFor(c.RemoteTS()),
			RefuseNarrower: c.Narrow == config.NarrowRefuse,
			Window:         c.ReplayWindow,
			IKELifetime:    c.Lifetimes.IKE,
			ChildLifetime:  c.Lifetimes.ESP,
			RekeyAt:        c.Lifetimes.RekeyAt,
			Jitter:         c.Lifetimes.Jitter,
			NATTPort:       g.Outside.NATTPort,
			PeerNATTPort:   opts.PeerNATTPort,
			Retransmit:     opts.Retransmit,
			MOBIKE:         true,
			VerifyPFS:      c.VerifyPFS,
			PerPair:        c.Child == config.ChildPerPair,
			Resources:      resources(g.Datapath, opts),
		},
	}
	if c.DPD.Action != config.DPDNone {
		p.DPD = ikev2.DPD{Interval: c.DPD.Interval, Retries: c.DPD.Retries}
	}
	var err error
	if c.Auth == config.AuthPSK { // a certificate says who we are
		if p.LocalID, err = localID(t); err != nil {
			return p, err
		}
	}
	if t.RemoteID != "" {
		if p.RemoteID, err = auth.ParseID(t.RemoteID); err != nil {
			return p, fmt.Errorf("remote_id %q: %w", t.RemoteID, err)
		}
	} else if t.Remote.Addr.IsValid() {
		p.RemoteID = auth.IDFromAddr(t.Remote.Addr)
	} else if t.Remote.Host != "" {
		if p.RemoteID, err = auth.ParseID(t.Remote.Host); err != nil {
			return p, fmt.Errorf("remote %q as remote_id: %w", t.Remote.Host, err)
		}
	}
	return p, nil
}

// localID is who we say that we are: what the configuration says, or else our outside address. Where nothing names that
// it stays zero: it is the one that the path of each IKE SA begins at, and a gateway starts before it has a route.
func localID(t config.Tunnel) (auth.ID, error) {
	if t.LocalID != "" {
		id, err := auth.ParseID(t.LocalID)
		if err != nil {
			return auth.ID{}, fmt.Errorf("local_id %q: %w", t.LocalID, err)
		}
		return id, nil
	}
	if t.Local.IsValid() {
		return auth.IDFromAddr(t.Local), nil
	}
	return auth.ID{}, nil
}

func selectorsFor(networks []netip.Prefix) []esp.Selector {
	var out []esp.Selector
	for _, p := range networks {
		out = append(out, esp.SelectorFor(p))
	}
	return out
}
