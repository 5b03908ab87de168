package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"twinbore/config"
	"twinbore/config/secret"
	"twinbore/ike"
	"twinbore/ike/auth"
	"twinbore/ike/ikev2"
)

// What a tunnel's pre-shared keys are called, in the status as well.
const (
	currentKey  = "current"
	previousKey = "previous"
)

// A credential is what one tunnel proves itself by, as it was last found.
type credential struct {
	from  sources
	use   ike.Secrets
	until time.Time         // how long a key before the current one is accepted; zero: there is none, or it has no end
	print [sha256.Size]byte // of the files of certificates
	err   error             // what could not be had; of that there is what was found before, if anything
}

// Format keeps the octets out of whatever prints a credential.
func (c credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// sources is where a tunnel's secrets come from. What was found at one place is no secret for another.
type sources struct {
	auth config.Auth
	psk  config.PSK
	cert config.Certificate
	ppk  config.PPK
}

// errLater says that a secret was not asked for, because the answer may take its time.
var errLater = errors.New("is being fetched")

// A looker looks secrets up, once.
type looker struct {
	store secret.Store
	now   time.Time
	quick bool // leave out what may take its time
	weak  func(peer string, ref secret.Ref, s secret.Secret, bits int)
	cert  func(i int, problems config.Problems) // what is wrong with the certificates of connection i
}

// connection looks up the secrets of each tunnel of connection i. before is what was found earlier, by peer.
func (l looker) connection(ctx context.Context, cfg *config.Config, i int, before map[string]credential) map[string]credential {
	c := &cfg.Connections[i]
	var proof certification
	var problems config.Problems
	if c.Auth == config.AuthCertificate {
		proof, problems = loadCertification(ctx, cfg, l.store, i, l.now)
		l.cert(i, problems)
	}
	out := map[string]credential{}
	for j, t := range c.Tunnels {
		name := c.Name + "/" + t.Name
		found := credential{from: sources{c.Auth, t.PSK, c.Certificate, c.PPK}}
		old := before[name]
		if !reflect.DeepEqual(old.from, found.from) {
			old = credential{}
		}
		if c.Auth == config.AuthCertificate {
			found.certificates(name, proof, j, auth.Policy{InsecureSHA1: c.AllowWeak}, problems, old)
		} else {
			found.use.LocalID, _ = localID(t) // peerOf has refused what is none
			l.keys(ctx, &found, name, t.PSK, old)
		}
		l.ppk(ctx, &found, name, c.PPK, old)
		out[name] = found
	}
	return out
}

// certificates takes what was loaded, or goes on with what there was.
func (c *credential) certificates(name string, proof certification, j int, policy auth.Policy, problems config.Problems, old credential) {
	if proof.signer == nil || proof.trust == nil {
		c.err = errors.New("certificate: it could not be loaded")
		if n := slices.IndexFunc(problems, func(p config.Problem) bool { return p.Severity == config.Error }); n >= 0 {
			c.err = errors.New("certificate: " + problems[n].Text)
		}
		if p := old.use.Auth.Certified(name); p != nil && len(p.Signers) > 0 && p.Trust != nil {
			c.use, c.print = old.use, old.print
			return
		}
	}
	c.use.LocalID, c.print = proof.local[j], proof.print
	c.use.Auth.Certificates = []auth.CertifiedPeer{proof.peer(name, policy)}
}

// keys fetches a tunnel's pre-shared keys: the one in use, and those before it while they are accepted.
func (l looker) keys(ctx context.Context, c *credential, name string, psk config.PSK, old credential) {
	for _, key := range []struct {
		name  string
		ref   secret.Ref
		until time.Time
	}{{currentKey, psk.Current, time.Time{}}, {previousKey, psk.Previous, psk.PreviousUntil}} {
		if key.ref.IsZero() {
			continue
		}
		s, err := l.fetch(ctx, name, key.ref, secret.WantBits)
		if err == nil {
			c.accept(auth.Secret{Peer: name, Name: key.name, Key: s.Reveal(), NotAfter: key.until})
			continue
		}
		c.failed("psk", err)
		for _, s := range old.use.Auth.Secrets {
			if s.Name == key.name {
				c.accept(s)
				break
			}
		}
	}
	former, err := l.store.Former(ctx, psk.Current, l.now)
	if err != nil && !errors.Is(err, secret.ErrNotHere) {
		c.failed("psk", err)
	}
	for _, f := range former {
		c.accept(auth.Secret{Peer: name, Name: previousKey, Key: f.Secret.Reveal(), NotAfter: f.Until})
	}
	for _, s := range c.use.Auth.Secrets {
		if s.Name == previousKey && s.NotAfter.After(l.now) && s.NotAfter.After(c.until) {
			c.until = s.NotAfter
		}
	}
}

// accept adds a key, unless it is one that is accepted already.
func (c *credential) accept(s auth.Secret) {
	same := func(o auth.Secret) bool { return secret.New(o.Key).Equal(secret.New(s.Key)) }
	if !slices.ContainsFunc(c.use.Auth.Secrets, same) {
		c.use.Auth.Secrets = append(c.use.Auth.Secrets, s)
	}
}

// ppk fetches a connection's PPK. One that cannot be had stops the tunnel only if it is required.
func (l looker) ppk(ctx context.Context, c *credential, name string, ppk config.PPK, old credential) {
	c.use.PPK = ikev2.PPK{ID: ppk.ID, Required: ppk.Required}
	if ppk.Secret.IsZero() {
		return
	}
	key, err := l.fetch(ctx, name, ppk.Secret, secret.WantPPKBits)
	if err != nil {
		c.failed("ppk", err)
		c.use.PPK.Key = old.use.PPK.Key
		return
	}
	c.use.PPK.Key = key.Reveal()
}

func (l looker) fetch(ctx context.Context, name string, ref secret.Ref, bits int) (secret.Secret, error) {
	if l.quick && ref.Kind == secret.Exec {
		return secret.Secret{}, errLater
	}
	s, err := l.store.Resolve(ctx, ref)
	if err == nil {
		l.weak(name, ref, s, bits)
	}
	return s, err
}

// failed notes the first thing that could not be had, by its key in the configuration.
func (c *credential) failed(key string, err error) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %w", key, err)
	}
}

// same reports whether the engine would see no difference between two credentials. Certificates are the same when the octets
// of their files are.
func (c credential) same(other credential) bool {
	if c.from.auth != other.from.auth || c.from.auth == config.AuthPSK {
		return reflect.DeepEqual(c.use, other.use)
	}
	return c.print == other.print && c.use.LocalID == other.use.LocalID && reflect.DeepEqual(c.use.PPK, other.use.PPK)
}

// proof is what we prove ourselves by: our certificate, or the pre-shared key that is tried first.
func (c credential) proof(peer string) []byte {
	if p := c.use.Auth.Certified(peer); p != nil {
		if len(p.Signers) == 0 {
			return nil
		}
		return p.Signers[0].Certificate().Raw
	}
	if len(c.use.Auth.Secrets) == 0 {
		return nil
	}
	return c.use.Auth.Secrets[0].Key
}

// usable reports whether the tunnel has anything to prove itself by.
func (c credential) usable(peer string) bool {
	if p := c.use.Auth.Certified(peer); p != nil {
		return len(p.Signers) > 0 && p.Trust != nil
	}
	return slices.ContainsFunc(c.use.Auth.Secrets, func(s auth.Secret) bool { return s.Name == currentKey })
}
