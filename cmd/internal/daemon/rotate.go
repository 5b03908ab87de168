package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/config/secret"
)

// rotate replaces the pre-shared key of a tunnel where it is kept, and goes on accepting the one before it for a while: no
// live SA is touched, and whichever end has the new key first, a new IKE SA can be made (F5, R58). It waits for a look at
// the secrets that is under way. A refusal is an *api.Problem.
func (k *keeper) rotate(ctx context.Context, r api.Rotation) (api.Rotated, error) {
	k.looking.Lock()
	defer k.looking.Unlock()
	k.mu.Lock()
	cfg := k.cfg
	k.mu.Unlock()
	c, t, err := tunnelNamed(cfg, r.Connection, r.Tunnel)
	if err != nil {
		return api.Rotated{}, err
	}
	peer := c.Name + "/" + t.Name
	store := secretStore(cfg.Gateway, nil)
	place, err := placeOf(cfg, store, c, t)
	if err != nil {
		return api.Rotated{}, err
	}
	next := secret.New(bytes.Clone(r.Secret))
	if len(r.Secret) == 0 {
		if next, err = store.Draw(); err != nil {
			return api.Rotated{}, fmt.Errorf("tunnel %s: drawing a secret: %w", peer, err)
		}
	}
	defer next.Wipe()
	k.mu.Lock()
	used := k.found[peer].proof(peer)
	k.mu.Unlock()
	if next.Equal(secret.New(used)) {
		return api.Rotated{}, api.Refuse(api.NotPossible, fmt.Sprintf("the new secret of %s is the one that it has", peer))
	}
	now := time.Now()
	until := now.Add(time.Duration(r.GraceSeconds) * time.Second).Truncate(time.Second)
	if err := store.Rotate(ctx, t.PSK.Current, next, now, until); err != nil {
		return api.Rotated{}, api.Refuse(api.NotPossible, fmt.Sprintf("the secret of %s stays as it was: %v", peer, err))
	}
	done := api.Rotated{Connection: c.Name, Tunnel: t.Name, Place: place, Generated: len(r.Secret) == 0, Weakness: api.Ptr(next.Weakness(secret.WantBits))}
	how := "an operator has replaced the secret, and the one before it is not accepted any more"
	if until.After(now) {
		var none int64
		done.PreviousUntil, done.OutageSeconds = api.Ptr(api.Stamp(until)), &none
		how = "an operator has replaced the secret, and the one before it is accepted until " + stamp(until)
	}
	k.lookAgain(ctx, how, func(conn string, _ *patience) bool { return conn == c.Name })
	k.stirUp()
	return done, nil
}

// tunnelNamed finds an enabled tunnel in the configuration.
func tunnelNamed(cfg *config.Config, conn, name string) (*config.Connection, *config.Tunnel, error) {
	c, ok := cfg.Connection(conn)
	if !ok || !c.Enabled {
		return nil, nil, api.Refuse(api.NotFound, fmt.Sprintf("no connection %q", conn))
	}
	i := slices.IndexFunc(c.Tunnels, func(t config.Tunnel) bool { return t.Name == name })
	if i < 0 {
		return nil, nil, api.Refuse(api.NotFound, fmt.Sprintf("connection %q has no tunnel %q", conn, name))
	}
	return c, &c.Tunnels[i], nil
}

// placeOf returns the file with a tunnel's pre-shared key, which is that tunnel's alone, or explains what to do instead.
func placeOf(cfg *config.Config, store secret.Store, c *config.Connection, t *config.Tunnel) (string, error) {
	peer := c.Name + "/" + t.Name
	if c.Auth == config.AuthCertificate {
		return "", api.Refuse(api.NotPossible, fmt.Sprintf("%s proves itself by a certificate: replace the files, they are read again every %v", peer, cfg.Gateway.Secrets.Refresh))
	}
	place, err := store.Place(t.PSK.Current)
	if errors.Is(err, secret.ErrNotHere) {
		return "", api.Refuse(api.NotPossible, fmt.Sprintf("the secret of %s is not kept by this gateway but comes from %v: %s", peer, t.PSK.Current, elsewhere(t.PSK.Current, cfg)))
	}
	if err != nil {
		return "", api.Refuse(api.NotPossible, fmt.Sprintf("the secret of %s: %v", peer, err))
	}
	for i := range cfg.Connections {
		for j := range cfg.Connections[i].Tunnels {
			other := &cfg.Connections[i].Tunnels[j]
			if other == t {
				continue
			}
			for _, ref := range []secret.Ref{other.PSK.Current, other.PSK.Previous} {
				if at, err := store.Place(ref); err == nil && at == place {
					return "", api.Refuse(api.NotPossible, fmt.Sprintf("%s is the secret of %s/%s as well: give each tunnel a file of its own, then they can be changed one after the other",
						place, cfg.Connections[i].Name, other.Name))
				}
			}
		}
	}
	return place, nil
}

// elsewhere is what to do about a secret that only another can replace.
func elsewhere(ref secret.Ref, cfg *config.Config) string {
	switch ref.Kind {
	case secret.Inline:
		return "write psk: {current: …, previous: …, previous_until: …} there and reload"
	case secret.Env, secret.Credential:
		return "whoever starts this gateway gives it; psk: {file: …} can be replaced while it runs"
	}
	return fmt.Sprintf("replace it there, it is asked for again every %v; psk: {current: …, previous: …, previous_until: …} accepts the one before it meanwhile", cfg.Gateway.Secrets.Refresh)
}
