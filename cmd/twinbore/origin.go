package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"twinbore/cmd/internal/daemon"
	"twinbore/config"
	"twinbore/config/store"
)

// openOrigin reads the files, opens the store of what was made at run time in their state folder, and reads both together. own
// changes what the command line says otherwise; a reload goes through it, too.
func (a *app) openOrigin(own func(*config.Config)) (*daemon.Origin, *config.Config, error) {
	read := func(from fs.FS, names []string, objects []config.Object) (*config.Config, error) {
		c, err := config.Sources{FS: from, Names: names, Env: os.LookupEnv, Objects: objects}.Load()
		if err != nil {
			return nil, err
		}
		changed := *c
		own(&changed)
		return &changed, nil
	}
	files := func(objects []config.Object) (*config.Config, error) { return read(hostFS{}, a.configNames(), objects) }
	texts := func(t config.Texts, objects []config.Object) (*config.Config, error) {
		return read(t, t.Names(), objects)
	}
	fingerprint := func() string { return config.Fingerprint(hostFS{}, a.configNames()...) }
	first, err := files(nil)
	if err != nil {
		return nil, nil, failure(exitConfig, fmt.Errorf("the configuration is invalid:\n%w", err))
	}
	kept, fault := store.Open(first.Gateway.StateDir)
	if errors.Is(fault, store.ErrLocked) {
		return nil, nil, fault // what is in it would be missing, and nobody would know
	}
	o := &daemon.Origin{Files: files, Texts: texts, Fingerprint: fingerprint, Store: kept, Fault: fault}
	c, err := o.Load()
	if err != nil {
		return nil, nil, errors.Join(failure(exitConfig, fmt.Errorf("the configuration is invalid:\n%w", err)), kept.Close())
	}
	return o, c, nil
}
