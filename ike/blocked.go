package ike

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
)

// sent notes what became of a message. An error is loss, and the session asks again (EV-37).
func (h *handle) sent(err error) {
	if h.left = h.left || err == nil; err != nil {
		h.sendErr = err
	}
}

// blocked gives the silence of a peer that was never asked its real name: no message of the whole negotiation has left
// this host.
func (h *handle) blocked(ev session.Event) session.Event {
	if ev.Kind != session.Failed || ev.Reason != session.NoResponse || h.left || h.sendErr == nil {
		return ev
	}
	cause := h.sendErr
	if errno, ok := errors.AsType[syscall.Errno](cause); ok {
		cause = errno
	}
	ev.Reason = session.PortBlocked
	ev.Hint = fmt.Sprintf("this host refuses to send to the peer (%v): check its firewall and routes for UDP 500 and 4500", cause)
	return ev
}

// limited tells a peer's tunnel that its IKE_SA_INIT requests are dropped because they come too often. Anybody can write
// the peer's address into a packet, so it is told at a bounded rate and only of an address that is one peer's alone.
func (e *Engine) limited(now time.Time, on esp.Path) {
	peers := e.peers.at(on.Remote.Addr())
	if len(peers) != 1 {
		return
	}
	if write, _ := e.count.mayLog(now, "limited "+peers[0].Peer); !write {
		return
	}
	e.observe(session.Event{Kind: session.Failed, Time: now, Peer: peers[0].Peer, Reason: session.RateLimited,
		Hint: fmt.Sprintf("%v begins negotiations more often than limits.ike_per_source_rps allows", on.Remote.Addr()),
		IKE:  session.IKEInfo{Path: on}})
}
