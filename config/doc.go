// Package config is the configuration file as data.
//
//	files ─► document.go ─► reader.go, kind.go, object.go ─► complete.go ─► check*.go, notyet.go ─► *Config
//	         one YAML tree   values by kind, over defaults    what depends    what spans several
//	         without tricks  and presets; positions           on other keys   keys; not built yet
//
// The grammar is written once, as kinds and fields beside the structs that they fill: config.go, gateway.go,
// datapath.go, connection.go, tunnel.go, secretref.go and so on. The parser reads with them, Schema describes them
// to editors, and the words in messages come from them. Every default is in defaults.go, what a provider changes in
// presets.go, what the format has and this build does not do in notyet.go.
//
// What was made at run time (config/store keeps it) is the same language: an Object is one connection or customer gateway, and
// Sources.Load reads files and objects together, so that both are checked by the same code (runtime.go). An object says
// nothing of the daemon's own files, variables and commands, and holds no secret itself.
//
// Everything that is wrong is reported at once, each with file, line and column, the value, what is allowed, and what
// was probably meant. Nothing is ignored: an unknown key is an error, and so is a value that asks for something that
// is not built. Values that come from the environment, and whatever stands in a reference to a secret, are never
// repeated in a message. testdata/messages has a case of everything that can be said.
//
// A Config is immutable and belongs to nobody. The package starts no goroutine and reads only what it is given: a
// file system, an environment, names. References to secrets stay references; config/secret looks them up.
//
// Two configurations are compared by Diff (diff.go), key by key: classes.go says of every key what its change costs while the
// gateway runs, plan.go how a person is told. A new key needs a line there.
//
// Not done here: host names are not resolved, and identities are given their meaning by ike/auth.
//
// Start reading at load.go, then kind.go and connection.go; customer.go is how connections share what is at their other end.
package config
