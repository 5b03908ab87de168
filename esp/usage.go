package esp

import "sync/atomic"

// A usage counts what one direction has carried and says when its limits are reached. The mutex of the SA that it is
// part of guards used and usedBytes, and changes of packets and bytes, which everyone may read: they follow once a run.
type usage struct {
	limits          Limits
	used, usedBytes uint64
	packets, bytes  atomic.Uint64
	notice          atomic.Uint32
}

// The notice of the soft limit goes from none to due to given, once.
const (
	noticeNone uint32 = iota
	noticeDue
	noticeGiven
)

// Packets returns how many packets have passed: sealed, or opened with a good integrity check.
func (u *usage) Packets() uint64 { return u.packets.Load() }

// Bytes returns how many octets have passed, without ESP's own: inner packets, and traffic flow padding where the peer
// adds it.
func (u *usage) Bytes() uint64 { return u.bytes.Load() }

// Spent reports once, and then never again, that the SA must be replaced soon: a soft limit is reached, or a hard one,
// or the sequence numbers run out. It is cheap enough to ask after each packet.
func (u *usage) Spent() bool {
	return u.notice.Load() == noticeDue && u.notice.CompareAndSwap(noticeDue, noticeGiven)
}

// fits reports whether the hard limits allow n more packets of octets in all, and raises the notice when they do not.
func (u *usage) fits(n, octets int) bool {
	l := &u.limits
	if l.HardPackets != 0 && u.used+uint64(n) > l.HardPackets || l.HardBytes != 0 && u.usedBytes+uint64(octets) > l.HardBytes {
		u.raise()
		return false
	}
	return true
}

// add counts n packets of octets in all, and raises the notice at a soft limit.
func (u *usage) add(n, octets int) {
	u.used += uint64(n)
	u.usedBytes += uint64(octets)
	if l := &u.limits; l.SoftPackets != 0 && u.used >= l.SoftPackets || l.SoftBytes != 0 && u.usedBytes >= l.SoftBytes {
		u.raise()
	}
}

// publish shows the counts to everyone.
func (u *usage) publish() {
	u.packets.Store(u.used)
	u.bytes.Store(u.usedBytes)
}

func (u *usage) raise() { u.notice.CompareAndSwap(noticeNone, noticeDue) }
