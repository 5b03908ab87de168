package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"twinbore/config"
	"twinbore/config/store"
)

// An Origin is where the configuration comes from: files, and a store of what was made at run time. Both are checked together.
//
// An object in the store can cease to fit the files, which change without asking: its network has come to another connection,
// its customer gateway is gone. Load then leaves it out and says so rather than refuse to start, or refuse every change of
// anything else; a reload that would do that to an object that fits is refused instead.
type Origin struct {
	// Files reads the files and makes one configuration of them and of these objects. Its error is config.Problems where that is
	// what it is.
	Files func(objects []config.Object) (*config.Config, error)
	// Texts is Files with other files in the place of those.
	Texts func(files config.Texts, objects []config.Object) (*config.Config, error)
	// Fingerprint is another text once the files have changed; nil: they are not watched, whatever gateway.watch says.
	Fingerprint func() string
	Store       *store.Store
	// Fault is why the store could not be read, or cannot be written; nil: it can.
	Fault error

	mu       sync.Mutex // guards the following
	refused  map[string]config.Problems
	lastRead string // fingerprint of the files as they were when they were read
}

// Load reads everything at the start. Objects that do not fit are left out; Refused has them.
func (o *Origin) Load() (*config.Config, error) {
	o.reading()
	cfg, refused, err := gather(o.Files, o.Store.State())
	if err == nil {
		o.remember(refused)
	}
	return cfg, err
}

// read reads everything again, or these files and the store, and returns what does not fit with it. The error is config.Problems
// when the files are wrong, or when an object that is in effect does not fit them.
func (o *Origin) read(files config.Texts) (*config.Config, map[string]config.Problems, error) {
	from := o.Files
	if len(files) > 0 {
		from = func(objects []config.Object) (*config.Config, error) { return o.Texts(files, objects) }
	}
	cfg, refused, err := gather(from, o.Store.State())
	if err == nil {
		err = o.newly(refused)
	}
	return cfg, refused, err
}

// Refused returns what is wrong with the objects that are left out, by config.Object.String.
func (o *Origin) Refused() map[string]config.Problems {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refused
}

func (o *Origin) remember(refused map[string]config.Problems) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refused = refused
}

// newly is what is wrong with objects that fitted before; nil when there is none.
func (o *Origin) newly(refused map[string]config.Problems, touched ...string) error {
	before := o.Refused()
	var all config.Problems
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		if before[name] == nil || slices.Contains(touched, name) {
			all = append(all, refused[name]...)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// again makes a configuration of the files that cfg was read from, as they were then, and of as many objects of s as fit.
func (o *Origin) again(cfg *config.Config, s *store.State) (*config.Config, map[string]config.Problems, error) {
	return gather(func(objects []config.Object) (*config.Config, error) { return o.Texts(cfg.Texts(), objects) }, s)
}

// gather makes a configuration of what from reads and of as many objects of s as fit.
func gather(from func([]config.Object) (*config.Config, error), s *store.State) (*config.Config, map[string]config.Problems, error) {
	refused := map[string]config.Problems{}
	for docs := s.Documents(); ; {
		cfg, err := from(docs)
		problems, ok := errors.AsType[config.Problems](err)
		if !ok {
			return cfg, refused, err
		}
		fit := slices.DeleteFunc(slices.Clone(docs), func(doc config.Object) bool {
			for _, p := range problems {
				if p.Severity == config.Error && p.Pos.File == doc.String() {
					refused[doc.String()] = append(refused[doc.String()], p)
				}
			}
			return refused[doc.String()] != nil
		})
		if len(fit) == len(docs) { // it is the files
			return nil, nil, err
		}
		docs = fit
	}
}

// announce makes known what is wrong with what was made at run time.
func (d *Daemon) announce(now time.Time) {
	o := d.opts.Origin
	if o == nil {
		return
	}
	alarm := func(kind, what, hint string) {
		d.log.Error("what was made at run time is not all in effect", "err", what, "hint", hint)
		d.timeline.put(now, "", happening{kind: kind, warn: true, message: what, attrs: []string{"hint", hint}})
	}
	if damage := o.Store.Damage(); damage != nil {
		alarm("state.damaged", fmt.Sprintf("%s was damaged: %v", o.Store.Path(), damage.Why), "it is now "+damage.Path+"; make the connections that were in it again")
	}
	if o.Fault != nil {
		alarm("state.unavailable", o.Fault.Error(), "nothing can be made or changed at run time until this is mended")
	}
	refused := o.Refused()
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		alarm("object.refused", fmt.Sprintf("%s is left out: %v", name, refused[name]), "change it, delete it, or change the files")
	}
}
