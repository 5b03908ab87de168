package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/config/secret"
	"twinbore/config/store"
)

// Objects returns the objects of a kind: those of the files and those made at run time, and what was deleted in the last hour
// (R9). It is safe for concurrent use while Run runs, and waits for the loop; a refusal is an *api.Problem.
func (d *Daemon) Objects(ctx context.Context, kind api.ObjectKind) (api.Objects, error) {
	st, err := d.Status(ctx)
	if err != nil {
		return api.Objects{}, err
	}
	l := &lister{d: d, cfg: d.cfg.Load(), kept: new(store.State), states: map[string]string{}}
	if o := d.opts.Origin; o != nil {
		l.kept = o.Store.State()
	}
	for _, c := range st.Connections {
		l.states[c.Name] = c.State
	}
	out := api.Objects{SchemaVersion: api.SchemaVersion, Objects: []api.Object{}}
	if kind == api.Connections {
		for i := range l.cfg.Connections {
			out.Objects = append(out.Objects, l.connection(i))
		}
	} else {
		for i := range l.cfg.CustomerGateways {
			out.Objects = append(out.Objects, l.customerGateway(i))
		}
	}
	out.Objects = append(out.Objects, l.refused(kinds[kind])...)
	out.Objects = append(out.Objects, l.deleted(kinds[kind])...)
	return out, nil
}

// Object returns one of Objects: the one that is there, or else the one of that name that was deleted last.
func (d *Daemon) Object(ctx context.Context, kind api.ObjectKind, name string) (api.Object, error) {
	all, err := d.Objects(ctx, kind)
	if err != nil {
		return api.Object{}, err
	}
	var last *api.Object
	for i, o := range all.Objects {
		if o.Name == name && (o.Deleted == nil || last == nil || last.Deleted != nil) {
			last = &all.Objects[i]
		}
	}
	if last == nil {
		return api.Object{}, d.noObject(kind, name)
	}
	return *last, nil
}

// noObject says that there is nothing of this name, and what there is.
func (d *Daemon) noObject(kind api.ObjectKind, name string) error {
	cfg, names := d.cfg.Load(), []string{}
	for _, c := range cfg.Connections {
		if kind == api.Connections {
			names = append(names, c.Name)
		}
	}
	for _, g := range cfg.CustomerGateways {
		if kind == api.CustomerGateways {
			names = append(names, g.Name)
		}
	}
	have := "there is none"
	if len(names) > 0 {
		have = "have " + strings.Join(names, ", ")
	}
	return api.Refuse(api.NotFound, fmt.Sprintf("no %s %q: %s", kinds[kind].Called(), name, have))
}

// A lister describes objects.
type lister struct {
	d      *Daemon
	cfg    *config.Config
	kept   *store.State
	states map[string]string // of connections
}

func (l *lister) connection(i int) api.Object {
	c := &l.cfg.Connections[i]
	path := fmt.Sprintf("connections[%d]", i)
	out := l.describe(config.ConnectionObject, path, c.Name, c.ID, c.Runtime, c.Tags)
	out.State = "disabled"
	if state, ok := l.states[c.Name]; ok && c.Enabled {
		out.State = state
	}
	keys := secretStore(l.cfg.Gateway, nil)
	for _, t := range c.Tunnels {
		if t.PSK.Current.Kind == secret.Generate {
			if file, err := keys.Place(t.PSK.Current); err == nil {
				out.Secrets = append(out.Secrets, api.MadeSecret{Tunnel: t.Name, File: file})
			}
		}
	}
	return out
}

func (l *lister) customerGateway(i int) api.Object {
	g := &l.cfg.CustomerGateways[i]
	out := l.describe(config.CustomerGatewayObject, fmt.Sprintf("customer_gateways[%d]", i), g.Name, g.ID, g.Runtime, g.Tags)
	out.State, out.UsedBy = "available", usersOf(l.cfg, g.Name)
	return out
}

// describe is what objects of both kinds have.
func (l *lister) describe(kind config.ObjectKind, path, name, id string, runtime bool, tags map[string]string) api.Object {
	out := api.Object{Name: name, ID: api.Ptr(id), Source: sourceOf(runtime), Tags: tags, UsedBy: []string{}, Secrets: []api.MadeSecret{}}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	if runtime {
		if o, ok := l.kept.Find(kind, name); ok {
			out.Created, out.Modified, out.Document = api.Ptr(api.Stamp(o.Created)), api.Ptr(api.Stamp(o.Modified)), json.RawMessage(o.Text)
		}
		return out
	}
	out.At, out.Document = api.Ptr(l.cfg.Pos(path).String()), l.cfg.Document(path)
	return out
}

// refused are the objects that are kept and do not fit the files.
func (l *lister) refused(kind config.ObjectKind) []api.Object {
	var out []api.Object
	for _, o := range l.kept.Objects {
		var problems config.Problems
		if l.d.opts.Origin != nil {
			problems = l.d.opts.Origin.Refused()[o.String()]
		}
		if o.Kind == kind && problems != nil {
			shown := l.describe(kind, "", o.Name, o.ID, true, nil)
			shown.State, shown.Problem = "refused", api.Ptr(problems.Error())
			out = append(out, shown)
		}
	}
	return out
}

// deleted are what was deleted in the last hour. One that is being deleted is told apart as long as its peers are being told.
func (l *lister) deleted(kind config.ObjectKind) []api.Object {
	var out []api.Object
	gone := l.kept.Deleted(time.Now())
	for i, t := range gone {
		if t.Kind != kind {
			continue
		}
		left := int64(t.Left / time.Second)
		o := api.Object{Name: t.Name, ID: api.Ptr(t.ID), State: "deleted", Source: sourceOf(true), Tags: map[string]string{}, UsedBy: []string{},
			Secrets: []api.MadeSecret{}, Deleted: api.Ptr(api.Stamp(t.DeletedAt)), Left: &left}
		again := slices.ContainsFunc(gone[i+1:], func(later store.Deleted) bool { return later.Kind == kind && later.Name == t.Name })
		if kind == config.ConnectionObject && l.states[t.Name] == "deleting" && !again {
			o.State = "deleting"
		}
		out = append(out, o)
	}
	return out
}

// sourceOf is where an object comes from.
func sourceOf(runtime bool) string {
	if runtime {
		return "runtime"
	}
	return "file"
}
