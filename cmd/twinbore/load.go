package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"twinbore/config"
)

// hostFS is the host's file system under the names that people use: absolute, or from the working folder. Opening a
// FIFO does not wait for its writer.
type hostFS struct{}

func (hostFS) Open(name string) (fs.File, error) {
	return os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// configNames returns the files and folders to read: those given, else the default ones.
func (a *app) configNames() []string {
	if len(a.configs) > 0 {
		return a.configs
	}
	names := []string{config.DefaultFile}
	if _, err := os.Stat(config.DefaultFolder); !errors.Is(err, fs.ErrNotExist) {
		names = append(names, config.DefaultFolder)
	}
	return names
}

// load reads the configuration. The error wraps config.Problems and has the exit code for it.
func (a *app) load() (*config.Config, error) {
	c, err := config.Load(hostFS{}, os.LookupEnv, a.configNames()...)
	if err != nil {
		return nil, failure(exitConfig, fmt.Errorf("the configuration is invalid:\n%w", err))
	}
	return c, nil
}
