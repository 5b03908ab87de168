package daemon

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/config/secret"
)

// What the keeper tells: to the log and the timeline when something is new, and to the status. Never a secret.

// refused says that a secret could not be had: the first time, and when the cause is another one.
func (k *keeper) refused(now time.Time, peer string, c, before credential) {
	if before.err != nil && before.err.Error() == c.err.Error() {
		return
	}
	hint := "the tunnel is down until it can"
	if c.usable(peer) {
		hint = "the one from before is used"
	}
	k.log.Error("secret not available", "peer", peer, "err", c.err, "hint", hint)
	k.timeline.put(now, peer, happening{kind: "secret.refresh_failed", warn: true, limited: true, reason: "SECRET_UNAVAILABLE",
		message: c.err.Error() + "; " + hint})
}

// judge warns of a secret that is worth less than so many bits, wherever it came from (AUT-13), when it is new.
func (k *keeper) judge(peer string, ref secret.Ref, s secret.Secret, bits int, before map[string]credential) {
	for _, old := range before[peer].use.Auth.Secrets {
		if secret.New(old.Key).Equal(s) {
			return
		}
	}
	if secret.New(before[peer].use.PPK.Key).Equal(s) {
		return
	}
	if weak := s.Weakness(bits); weak != "" {
		k.log.Warn("weak secret", "peer", peer, "at", ref.String(), "reason", weak, "hint", secret.StrongHint)
	}
}

// complain says what is wrong with the certificates of a connection, when that is new.
func (k *keeper) complain(conn string, problems config.Problems) {
	var all strings.Builder
	for _, p := range problems {
		all.WriteString(p.String() + "\n")
	}
	k.mu.Lock()
	known := k.told[conn] == all.String()
	k.told[conn] = all.String()
	k.mu.Unlock()
	if known {
		return
	}
	for _, p := range problems {
		level := slog.LevelError
		if p.Severity == config.Warning {
			level = slog.LevelWarn
		}
		k.log.Log(context.Background(), level, "certificate", "peer", conn, "at", p.Pos.String(), "err", p.Text, "hint", p.Hint)
	}
}

// environ looks a secret up in the environment, and takes it away from there.
func (k *keeper) environ(name string) (string, bool) {
	value, ok, err := secretEnvironment.take(name)
	if err != nil {
		k.log.Warn("a secret can still be read in /proc/PID/environ", "variable", name, "err", err)
	}
	return value, ok
}

// show is what the status says of a tunnel's secret: where it comes from, what is wrong with it, and how long a key before it
// is accepted.
func (k *keeper) show(peer string) *api.Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.found[peer]
	if !ok {
		return nil
	}
	out := &api.Key{Source: c.from.psk.Current.String()}
	if c.from.auth == config.AuthCertificate {
		out.Source = c.from.cert.Key.String()
	}
	if c.err != nil {
		out.Problem = api.Ptr(c.err.Error())
	}
	if !c.until.IsZero() {
		out.PreviousUntil = api.Ptr(api.Stamp(c.until))
	}
	return out
}
