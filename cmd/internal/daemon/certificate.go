package daemon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"twinbore/config"
	"twinbore/config/secret"
	"twinbore/ike/auth"
	"twinbore/ike/wire"
)

// Limits of what stands in files, octets.
const (
	certFileLimit = 256 << 10
	crlFileLimit  = 16 << 20
)

// soon is how long before its end a certificate deserves a warning.
const soon = 14 * 24 * time.Hour

// A certification is how one connection proves itself, as far as it could be loaded: nil where it could not.
type certification struct {
	signer *auth.Signer
	trust  *auth.Trust
	local  []auth.ID         // who we are, by tunnel; the zero ID where that cannot be
	print  [sha256.Size]byte // of all that was read: another one means that something has changed
}

// peer is how one tunnel uses what was loaded.
func (c certification) peer(name string, policy auth.Policy) auth.CertifiedPeer {
	out := auth.CertifiedPeer{Peer: name, Trust: c.trust, Policy: policy}
	if c.signer != nil {
		out.Signers = []*auth.Signer{c.signer}
	}
	return out
}

// A certLoader reads the files of one connection and collects what is wrong with them.
type certLoader struct {
	cfg      *config.Config
	store    secret.Store
	path     string // of the connection
	now      time.Time
	problems config.Problems
	print    hash.Hash // of what was read
}

// CheckCertificates loads what every connection with certificates needs and says what is wrong with it, with its place in
// the configuration. What is merely not valid at now is a warning: it may be renewed before it is used.
func CheckCertificates(ctx context.Context, cfg *config.Config, now time.Time) config.Problems {
	var all config.Problems
	store := secretStore(cfg.Gateway, os.LookupEnv)
	for i := range cfg.Connections {
		if cfg.Connections[i].Auth == config.AuthCertificate {
			_, problems := loadCertification(ctx, cfg, store, i, now)
			all = append(all, problems...)
		}
	}
	return all
}

// loadCertification does so for connection i.
func loadCertification(ctx context.Context, cfg *config.Config, store secret.Store, i int, now time.Time) (certification, config.Problems) {
	l := &certLoader{cfg: cfg, store: store, path: fmt.Sprintf("connections[%d]", i), now: now, print: sha256.New()}
	c := &cfg.Connections[i]
	out := certification{signer: l.loadSigner(ctx, c.Certificate), trust: l.loadTrust(c.Certificate)}
	for j, t := range c.Tunnels {
		out.local = append(out.local, l.identities(fmt.Sprintf("%s.tunnels[%d]", l.path, j), t, out.signer))
	}
	l.print.Sum(out.print[:0])
	return out, l.problems
}

func (l *certLoader) say(s config.Severity, path, text, hint string) {
	if before, after, ok := strings.Cut(text, "; hint: "); ok && hint == "" { // ike/auth's way to say it
		text, hint = before, after
	}
	l.problems = append(l.problems, config.Problem{Pos: l.cfg.Pos(path), Severity: s, Path: path, Text: text, Hint: hint})
}

// secretStore is where keys are looked up.
func secretStore(g config.Gateway, env func(string) (string, bool)) secret.Store {
	return secret.Store{Dir: g.Secrets.Dir, CredentialsDir: os.Getenv("CREDENTIALS_DIRECTORY"), LookupEnv: env}
}

// loadSigner reads our certificate and its key.
func (l *certLoader) loadSigner(ctx context.Context, c config.Certificate) *auth.Signer {
	at := l.path + ".certificate"
	certs := read(l, at+".cert", c.Cert, certFileLimit, auth.ParseCertificates)
	text, err := l.store.ResolveText(ctx, c.Key)
	defer text.Wipe()
	l.print.Write(text.Reveal())
	if err != nil {
		severity, hint := config.Error, ""
		if c.Key.Kind == secret.Env || c.Key.Kind == secret.Credential {
			severity, hint = config.Warning, "the daemon must find it in its own environment"
		}
		l.say(severity, at+".key", err.Error(), hint)
		return nil
	}
	key, err := auth.ParsePrivateKey(text.Reveal())
	if err != nil {
		l.say(config.Error, at+".key", fmt.Sprintf("%v: %v", c.Key, err), "")
		return nil
	}
	if certs == nil {
		return nil
	}
	signer, err := auth.NewSigner(certs, key)
	if err != nil {
		l.say(config.Error, at+".key", err.Error(), "")
		return nil
	}
	l.validity(at+".cert", "our certificate", signer.Certificate())
	return signer
}

// loadTrust reads the authorities that we believe and what they have revoked. An authority whose own issuer is among them
// is one in between; any other is trusted for what it is.
func (l *certLoader) loadTrust(c config.Certificate) *auth.Trust {
	at := l.path + ".certificate"
	var all []*x509.Certificate
	whole := true
	for i, name := range c.CA {
		path := fmt.Sprintf("%s.ca[%d]", at, i)
		certs := read(l, path, name, certFileLimit, auth.ParseCertificates)
		whole = whole && certs != nil
		for _, cert := range certs {
			l.validity(path, "the authority's certificate", cert)
		}
		all = append(all, certs...)
	}
	var roots, between []*x509.Certificate
	for _, cert := range all {
		if !selfIssued(cert) && slices.ContainsFunc(all, func(other *x509.Certificate) bool { return issuedBy(cert, other.RawSubject) }) {
			between = append(between, cert)
			continue
		}
		roots = append(roots, cert)
	}
	if !whole || len(all) == 0 {
		return nil
	}
	if _, err := auth.NewTrust(roots, between, nil); err != nil {
		l.say(config.Error, at+".ca", err.Error(), "")
		return nil
	}
	var lists []*x509.RevocationList
	for i, name := range c.CRL {
		path := fmt.Sprintf("%s.crl[%d]", at, i)
		found := read(l, path, name, crlFileLimit, auth.ParseCRLs)
		if found == nil {
			whole = false
			continue
		}
		if _, err := auth.NewTrust(roots, between, found); err != nil {
			l.say(config.Error, path, err.Error(), "")
			whole = false
			continue
		}
		for _, list := range found {
			l.currency(path, list, all)
		}
		lists = append(lists, found...)
	}
	if !whole { // to believe what may be revoked would be worse than to believe nobody
		return nil
	}
	trust, err := auth.NewTrust(roots, between, lists)
	if err != nil {
		l.say(config.Error, at, err.Error(), "")
		return nil
	}
	return trust
}

func selfIssued(c *x509.Certificate) bool               { return issuedBy(c, c.RawSubject) }
func issuedBy(c *x509.Certificate, subject []byte) bool { return bytes.Equal(c.RawIssuer, subject) }

// read reads one file of certificates or lists; nil where that fails, which is said.
func read[T any](l *certLoader, path, name string, limit int, parse func([]byte) ([]T, error)) []T {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(l.cfg.Pos(path).File), name)
	}
	data, err := secret.ReadGuarded(name, limit)
	if err != nil {
		l.say(config.Error, path, err.Error(), "")
		return nil
	}
	l.print.Write(data)
	list, err := parse(data)
	if err != nil {
		l.say(config.Error, path, fmt.Sprintf("%s: %v", name, err), "")
		return nil
	}
	return list
}

// validity warns of a certificate that is not valid now, or soon is not.
func (l *certLoader) validity(path, what string, c *x509.Certificate) {
	name := printName(c.RawSubject)
	switch from, until := stamp(c.NotBefore), stamp(c.NotAfter); {
	case l.now.After(c.NotAfter):
		l.say(config.Warning, path, fmt.Sprintf("%s %s has expired on %s", what, name, until), "renew it: nobody believes it")
	case l.now.Before(c.NotBefore):
		l.say(config.Warning, path, fmt.Sprintf("%s %s is not valid before %s", what, name, from), "compare the clocks")
	case l.now.Add(soon).After(c.NotAfter):
		l.say(config.Warning, path, fmt.Sprintf("%s %s expires on %s", what, name, until), "renew it in time")
	}
}

// currency warns of a revocation list that is over, or that is of nobody whom we trust.
func (l *certLoader) currency(path string, list *x509.RevocationList, authorities []*x509.Certificate) {
	issuer := printName(list.RawIssuer)
	if !slices.ContainsFunc(authorities, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, list.RawIssuer) }) {
		l.say(config.Warning, path, fmt.Sprintf("the revocation list of %s is of none of the authorities in ca", issuer), "")
	}
	if !l.now.Before(list.NextUpdate) {
		l.say(config.Warning, path, fmt.Sprintf("the revocation list of %s was to be replaced on %s", issuer, stamp(list.NextUpdate)),
			"fetch it again: until then no certificate of this authority is believed")
	}
}

// printName prints a subject in DER, fit for a terminal whatever is in it.
func printName(der []byte) string { return auth.ID{Type: wire.IDDERASN1DN, Data: string(der)}.String() }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// identities checks who the two ends of a tunnel are to be, and returns who we are: what the configuration says if our
// certificate names it, otherwise the certificate's subject.
func (l *certLoader) identities(path string, t config.Tunnel, signer *auth.Signer) auth.ID {
	if t.RemoteID != "" {
		if _, err := auth.ParseID(t.RemoteID); err != nil {
			l.say(config.Error, path+".remote_id", err.Error(), "")
		}
	}
	var id auth.ID
	if t.LocalID != "" {
		var err error
		if id, err = auth.ParseID(t.LocalID); err != nil {
			l.say(config.Error, path+".local_id", err.Error(), "")
			return auth.ID{}
		}
	}
	if signer == nil {
		return id
	}
	own, err := signer.Identity(id)
	if err != nil {
		l.say(config.Error, path+".local_id", err.Error(), "")
		return auth.ID{}
	}
	return own
}
