package ike

import (
	"twinbore/ike/ikev2"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// A protocol makes the sessions of one version of IKE.
type protocol struct {
	open   func(p Peer) session.Session            // for Initiate
	accept func(candidates []Peer) session.Session // for a first message
}

// speak is the version that this engine speaks.
func speak(e *Engine) protocol {
	return protocol{
		open: func(p Peer) session.Session { return ikev2.New(p.Config) },
		accept: func(candidates []Peer) session.Session {
			configs := make([]ikev2.Config, len(candidates))
			for i, p := range candidates {
				configs[i] = p.Config
			}
			return ikev2.Accept(configs)
		},
	}
}

// configure is the command that tells a session what its peer's configuration is now.
func configure(p Peer) session.Command { return session.Configure{Config: p.Config} }

// A verdict is what a message's version makes of it.
type verdict uint8

const (
	spoken  verdict = iota // go on
	foreign                // drop it without a word
	tooHigh                // a version to come: a request may be told that we do not speak it
)

// judge is the only place that compares versions. The minor version says nothing (RFC 7296 §2.5); IKEv1 is not
// answered, so that a scan cannot tell this gateway by it.
func judge(v wire.Version) verdict {
	switch major := v.Major(); {
	case major == wire.V2.Major():
		return spoken
	case major > wire.V2.Major():
		return tooHigh
	}
	return foreign
}
