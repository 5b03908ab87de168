package ike

import (
	"fmt"
	"io"
	"slices"

	"twinbore/ike/auth"
	"twinbore/ike/ikev2"
)

// Secrets is all of a Peer that can be given anew while the engine runs, without touching a live SA: how the two ends prove
// who they are.
type Secrets struct {
	LocalID auth.ID          // who we are; of a peer with certificates it depends on ours
	Auth    auth.Credentials // several pre-shared keys while one takes over from another
	PPK     ikev2.PPK
}

// Format keeps the octets out of whatever prints secrets.
func (s Secrets) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// SetSecrets gives the named peer other secrets: the next IKE SA that is begun by either end is authenticated by them
// (F5, R58). One that is being negotiated goes on with what it has, and an established one needs none. It reports whether
// there is such a peer. It keeps s, of which the caller must not change anything.
func (e *Engine) SetSecrets(peer string, s Secrets) bool { return e.peers.trust(peer, s) }

// trust replaces the secrets of a peer. The lists are made anew, because readers may hold the old ones.
func (d *directory) trust(name string, s Secrets) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.byName[name]
	if !ok {
		return false
	}
	p.LocalID, p.Auth, p.PPK = s.LocalID, s.Auth, s.PPK
	d.byName[name] = p
	with := func(list []Peer) []Peer {
		list = slices.Clone(list)
		for i := range list {
			if list[i].Peer == name {
				list[i] = p
			}
		}
		return list
	}
	for _, a := range p.RemoteAddrs {
		d.byRemote[plain(a)] = with(d.byRemote[plain(a)])
	}
	if len(p.RemoteAddrs) == 0 {
		d.anywhere = with(d.anywhere)
	}
	return true
}
