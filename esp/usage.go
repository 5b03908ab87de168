package esp

import "sync/atomic"

// A usage counts what one direction has carried and says when its limits are reached. The mutex of the SA that it is
// part of guards changes of packets and bytes; everyone may read them.
type usage struct {
	limits         Limits
	packets, bytes atomic.Uint64
	notice         atomic.Uint32
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

// fits reports whether the hard limits allow one more packet of n octets, and raises the notice when they do not.
func (u *usage) fits(n int) bool {
	l := &u.limits
	if l.HardPackets != 0 && u.packets.Load() >= l.HardPackets || l.HardBytes != 0 && u.bytes.Load()+uint64(n) > l.HardBytes {
		u.raise()
		return false
	}
	return true
}

// add counts one packet of n octets, and raises the notice at a soft limit.
func (u *usage) add(n int) {
	packets, bytes := u.packets.Add(1), u.bytes.Add(uint64(n))
	if l := &u.limits; l.SoftPackets != 0 && packets >= l.SoftPackets || l.SoftBytes != 0 && bytes >= l.SoftBytes {
		u.raise()
	}
}

func (u *usage) raise() { u.notice.CompareAndSwap(noticeNone, noticeDue) }
