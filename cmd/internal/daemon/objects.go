package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/config/secret"
	"twinbore/config/store"
)

// kinds are the words of the API for what config calls otherwise.
var kinds = map[api.ObjectKind]config.ObjectKind{api.Connections: config.ConnectionObject, api.CustomerGateways: config.CustomerGatewayObject}

// ChangeObject makes, changes or deletes a connection or a customer gateway. When it returns nil, that is on the disk and in
// effect: acknowledged is durable. Otherwise nothing has changed, and the error is an *api.Problem. It is safe for concurrent
// use while Run runs; one change waits for another.
//
// It is checked with the files as they were when they were read: what has been written into them since is for a reload.
//
// The order is: check, write, bring into effect. What cannot be brought into effect is taken out of the store again; a crash
// between the two leaves an object of which nobody was told that it is there, and which is whole.
func (d *Daemon) ChangeObject(ctx context.Context, c api.ObjectChange) (api.ObjectChanged, error) {
	o := d.opts.Origin
	if o == nil {
		return api.ObjectChanged{}, api.Refuse(api.NotPossible, "nothing can be made at run time: this daemon has no gateway.state_dir")
	}
	d.routesChange.Lock() // what is added to a connection goes with it
	defer d.routesChange.Unlock()
	kind := kinds[c.Kind]
	before, running := o.Store.State(), d.cfg.Load()
	var cfg *config.Config
	var refused map[string]config.Problems
	var out api.ObjectChanged
	err := o.Store.Update(func(tx *store.Tx) error {
		touched, err := d.changeStore(tx, kind, c)
		if err != nil {
			return err
		}
		out.Created = c.Verb == api.Create || c.Verb == api.Put && !has(before, kind, c.Name)
		if touched != "" && before.Same(tx.State(), kind, c.Name) {
			return nil // as it is already
		}
		out.Changed = true
		if cfg, refused, err = o.again(running, tx.State()); err != nil {
			return err
		}
		return o.newly(refused, touched)
	})
	if err != nil {
		return api.ObjectChanged{}, refusal(err)
	}
	if out.Changed {
		if _, err := d.Reconfigure(context.WithoutCancel(ctx), cfg); err != nil {
			undone := o.Store.Update(func(tx *store.Tx) error { tx.Restore(before, kind, c.Name); return nil })
			return api.ObjectChanged{}, refusal(errors.Join(err, undone))
		}
		o.remember(refused)
		d.clearLeftovers()
	}
	out.Object, err = d.Object(ctx, c.Kind, c.Name)
	return out, err
}

func has(s *store.State, kind config.ObjectKind, name string) bool {
	_, ok := s.Find(kind, name)
	return ok
}

// changeStore does what is asked for to the store, and returns the object that it makes or changes, as config names it; "" when
// it deletes one.
func (d *Daemon) changeStore(tx *store.Tx, kind config.ObjectKind, c api.ObjectChange) (touched string, err error) {
	old, there := tx.State().Find(kind, c.Name)
	if at, ok := d.inFile(kind, c.Name); ok {
		return "", api.Refuse(api.ReadOnly, fmt.Sprintf("%s %q stands in %v: change it there, and reload", kind.Called(), c.Name, at))
	}
	switch {
	case !there && (c.Verb == api.Patch || c.Verb == api.Delete):
		return "", d.noObject(c.Kind, c.Name)
	case there && c.Verb == api.Create:
		return "", api.Refuse(api.Exists, fmt.Sprintf("there is a %s %q already", kind.Called(), c.Name))
	case c.Verb == api.Delete:
		return "", d.deleteObject(tx, kind, c.Name)
	}
	doc := old.Object
	if c.Verb == api.Patch {
		doc, err = old.Patch(c.Document)
	} else {
		doc, err = config.ParseObject(kind, c.Document)
	}
	if err != nil {
		return "", err
	}
	if doc.Name == "" {
		return "", api.Refuse(api.Invalid, fmt.Sprintf("the document has no name; want name: %s", c.Name))
	}
	if doc.Name != c.Name {
		return "", api.Refuse(api.Invalid, fmt.Sprintf("the document is of %q, not of %q: a %s keeps its name", doc.Name, c.Name, kind.Called()))
	}
	made, err := tx.Put(doc)
	return made.String(), err
}

// inFile returns where a file says that there is an object of this name.
func (d *Daemon) inFile(kind config.ObjectKind, name string) (config.Pos, bool) {
	cfg := d.cfg.Load()
	for i, c := range cfg.Connections {
		if kind == config.ConnectionObject && c.Name == name && !c.Runtime {
			return cfg.Pos(fmt.Sprintf("connections[%d]", i)), true
		}
	}
	for i, g := range cfg.CustomerGateways {
		if kind == config.CustomerGatewayObject && g.Name == name && !g.Runtime {
			return cfg.Pos(fmt.Sprintf("customer_gateways[%d]", i)), true
		}
	}
	return config.Pos{}, false
}

// deleteObject refuses to take away what others need (R10).
func (d *Daemon) deleteObject(tx *store.Tx, kind config.ObjectKind, name string) error {
	cfg := d.cfg.Load()
	if kind == config.CustomerGatewayObject {
		if users := usersOf(cfg, name); len(users) > 0 {
			return api.Refuse(api.InUse, fmt.Sprintf("customer gateway %q is in use by connection%s", name, quotedNames(users)))
		}
		return tx.Delete(kind, name)
	}
	var backups []string
	for _, c := range cfg.Connections {
		if c.HA.BackupOf == name {
			backups = append(backups, c.Name)
		}
	}
	if len(backups) > 0 {
		return api.Refuse(api.InUse, fmt.Sprintf("connection %q is what ha.backup_of names in connection%s", name, quotedNames(backups)))
	}
	var secrets []string
	if c, ok := cfg.Connection(name); ok {
		for _, t := range c.Tunnels {
			if t.PSK.Current.Kind == secret.Generate {
				secrets = append(secrets, t.PSK.Current.Name)
			}
		}
	}
	return tx.Delete(kind, name, secrets...)
}

// quotedNames is ` "a"` or `s "a", "b"`.
func quotedNames(names []string) string {
	text := ` "` + strings.Join(names, `", "`) + `"`
	if len(names) > 1 {
		return "s" + text
	}
	return text
}

// usersOf returns the connections that end at a customer gateway.
func usersOf(cfg *config.Config, name string) []string {
	users := []string{}
	for _, c := range cfg.Connections {
		if c.CustomerGateway == name || slices.ContainsFunc(c.Tunnels, func(t config.Tunnel) bool { return t.CustomerGateway == name }) {
			users = append(users, c.Name)
		}
	}
	return users
}

// clearLeftovers deletes the generated keys of connections that are deleted: another one of that name gets others. A crash
// before it is made up for at the next start.
func (d *Daemon) clearLeftovers() {
	o := d.opts.Origin
	if o == nil || len(o.Store.State().Leftovers()) == 0 {
		return
	}
	cfg := d.cfg.Load()
	used := map[string]bool{}
	for _, c := range cfg.Connections {
		for _, t := range c.Tunnels {
			used[t.PSK.Current.Name] = true
		}
	}
	keys := secretStore(cfg.Gateway, nil)
	for _, name := range o.Store.State().Leftovers() {
		if used[name] {
			continue
		}
		if err := keys.Discard(secret.Ref{Kind: secret.Generate, Name: name}); err != nil {
			d.log.Warn("the key of a deleted connection is still there", "err", err)
			return
		}
	}
	if err := o.Store.Update(func(tx *store.Tx) error { tx.Cleared(); return nil }); err != nil {
		d.log.Warn("the keys of deleted connections are gone, which could not be noted", "err", err)
	}
}

// refusal is an error as the API answers it.
func refusal(err error) error {
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return p
	}
	_, restart := errors.AsType[*RestartError](err)
	problems, invalid := errors.AsType[config.Problems](err)
	switch {
	case invalid:
		return api.Refuse(api.Invalid, problems.Error())
	case errors.Is(err, store.ErrUnavailable):
		return api.Refuse(api.NotKept, err.Error())
	case errors.Is(err, store.ErrSpent), errors.Is(err, store.ErrOtherID):
		return api.Refuse(api.Invalid, err.Error())
	case restart:
		return api.Refuse(api.NeedsRestart, err.Error())
	}
	return api.Refuse(api.Conflict, err.Error())
}
