package ike

import (
	"sync"

	"twinbore/esp"
	"twinbore/ike/session"
)

// inboxSize bounds the messages that wait for one shard: at a handshake's millisecond each, more would be answered
// after the peer has asked again.
const inboxSize = 128

// A mail is one message for one session.
type mail struct {
	to  *handle
	msg []byte // whole, without the non-ESP marker; the inbox owns it
	on  esp.Path
}

// An order is something that must not be lost: a command for a peer's sessions, a session handed over by another
// shard, or the end of everything.
type order struct {
	peer  string
	cmd   session.Command
	adopt *handle
	close bool
}

// An inbox is what waits for a shard. Mail is bounded and dropped when there is too much of it, as the network would.
// Orders are not bounded: they come from this program, which issues few, and a sender that waited for a shard could wait for itself.
type inbox struct {
	mu     sync.Mutex // guards mail and orders
	mail   []mail
	orders []order
	ready  chan struct{} // holds one token when there is something
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

// put adds m and reports whether there was room.
func (b *inbox) put(m mail) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mail) >= inboxSize {
		return false
	}
	b.mail = append(b.mail, m)
	b.wake()
	return true
}

// order adds o.
func (b *inbox) order(o order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders = append(b.orders, o)
	b.wake()
}

func (b *inbox) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take empties the inbox. Orders are to be obeyed before the mail is read: what is handed over comes before what is
// addressed to it.
func (b *inbox) take() ([]order, []mail) {
	b.mu.Lock()
	defer b.mu.Unlock()
	orders, mail := b.orders, b.mail
	b.orders, b.mail = nil, nil
	return orders, mail
}
