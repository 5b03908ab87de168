package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"twinbore/config"
	"twinbore/config/secret"
	"twinbore/esp"
	"twinbore/ike"
	"twinbore/ike/auth"
	"twinbore/ike/ikev2"
)

// peers makes of each tunnel what the engine needs to know. A secret that cannot be had now stops its tunnel and no
// other (SEC-04).
func (d *Daemon) peers(ctx context.Context, cfg *config.Config, opts Options) ([]ike.Peer, error) {
	g := cfg.Gateway
	store := secrets(g)
	var peers []ike.Peer
	for i, c := range cfg.Connections {
		if !c.Enabled {
			continue
		}
		var proof certification
		if c.Auth == config.AuthCertificate {
			proof = d.certificationOf(ctx, cfg, i)
		}
		for j, t := range c.Tunnels {
			name := c.Name + "/" + t.Name
			p, err := peerOf(g, c, t, opts)
			if err != nil {
				return nil, fmt.Errorf("tunnel %s: %w", name, err)
			}
			if c.Auth == config.AuthCertificate {
				p.LocalID = proof.local[j]
				p.Auth.Certificates = []auth.CertifiedPeer{proof.peer(name, auth.Policy{InsecureSHA1: c.AllowWeak})}
			} else {
				p.Auth.Secrets = d.secretsOf(ctx, store, name, t.PSK)
			}
			p.Encap = d.encapOf(c.Encap)
			p.PPK = d.ppkOf(ctx, store, name, c.PPK)
			peers = append(peers, p)
		}
	}
	return peers, nil
}

// certificationOf loads the certificates of connection i. What is wrong with them is said now; the tunnels that need them
// wait with SECRET_UNAVAILABLE.
func (d *Daemon) certificationOf(ctx context.Context, cfg *config.Config, i int) certification {
	loaded, problems := loadCertification(ctx, cfg, i, time.Now())
	for _, p := range problems {
		level := slog.LevelError
		if p.Severity == config.Warning {
			level = slog.LevelWarn
		}
		d.log.Log(ctx, level, "certificate", "peer", cfg.Connections[i].Name, "at", p.Pos.String(), "err", p.Text, "hint", p.Hint)
	}
	return loaded
}

// peer is how one tunnel uses what was loaded.
func (c certification) peer(name string, policy auth.Policy) auth.CertifiedPeer {
	out := auth.CertifiedPeer{Peer: name, Trust: c.trust, Policy: policy}
	if c.signer != nil {
		out.Signers = []*auth.Signer{c.signer}
	}
	return out
}

// secretsOf fetches a tunnel's keys: the one in use, and the one before it while that is accepted.
func (d *Daemon) secretsOf(ctx context.Context, store secret.Store, peer string, psk config.PSK) []auth.Secret {
	var out []auth.Secret
	for _, key := range []struct {
		name string
		ref  secret.Ref
		last bool
	}{{"current", psk.Current, false}, {"previous", psk.Previous, true}} {
		if key.ref.IsZero() {
			continue
		}
		s, err := store.Resolve(ctx, key.ref)
		if err != nil {
			d.log.Error("secret not available", "peer", peer, "err", err)
			continue
		}
		d.judge(peer, key.ref, s, secret.WantBits)
		a := auth.Secret{Peer: peer, Name: key.name, Key: s.Reveal()}
		if key.last {
			a.NotAfter = psk.PreviousUntil
		}
		out = append(out, a)
	}
	return out
}

// ppkOf fetches a connection's PPK. One that cannot be had stops the tunnel only if it is required.
func (d *Daemon) ppkOf(ctx context.Context, store secret.Store, peer string, ppk config.PPK) ikev2.PPK {
	out := ikev2.PPK{ID: ppk.ID, Required: ppk.Required}
	if ppk.Secret.IsZero() {
		return out
	}
	key, err := store.Resolve(ctx, ppk.Secret)
	if err != nil {
		d.log.Error("ppk not available", "peer", peer, "err", err)
		return out
	}
	d.judge(peer, ppk.Secret, key, secret.WantPPKBits)
	out.Key = key.Reveal()
	return out
}

// judge warns of a secret that is worth less than so many bits, wherever it came from (AUT-13).
func (d *Daemon) judge(peer string, ref secret.Ref, s secret.Secret, bits int) {
	if weak := s.Weakness(bits); weak != "" {
		d.log.Warn("weak secret", "peer", peer, "at", ref.String(), "reason", weak, "hint", secret.StrongHint)
	}
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
			return ike.Peer{}, err
		}
	}
	if t.RemoteID != "" {
		if p.RemoteID, err = auth.ParseID(t.RemoteID); err != nil {
			return ike.Peer{}, fmt.Errorf("remote_id %q: %w", t.RemoteID, err)
		}
	} else if t.Remote.Addr.IsValid() {
		p.RemoteID = auth.IDFromAddr(t.Remote.Addr)
	} else if t.Remote.Host != "" {
		if p.RemoteID, err = auth.ParseID(t.Remote.Host); err != nil {
			return ike.Peer{}, fmt.Errorf("remote %q as remote_id: %w", t.Remote.Host, err)
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
