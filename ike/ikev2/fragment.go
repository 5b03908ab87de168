package ikev2

import (
	"errors"
	"fmt"
	"slices"

	"twinbore/esp"
	"twinbore/ike/wire"
)

// Limits of what a peer may make us collect. There is at most one message per direction, and nothing of it is kept
// whose own tag is not good (RFC 7383 §2.6, DOS-06).
const (
	maxFragments = 64
	maxCollected = 65535 // octets
)

// A collection is one message of the peer whose fragments come in.
type collection struct {
	id       uint32
	exchange wire.ExchangeType
	total    uint16
	parts    [][]byte // by number, from 0
	got      int
	size     int
	inner    wire.PayloadType
	first    []byte // fragment 1 as received: it stands for the whole message when that comes again (§2.6.1)
}

// errIncomplete means that a fragment was good and others are missing.
var errIncomplete = errors.New("waiting for more fragments")

// slot is where the fragments of messages like m are collected.
func (s *SA) slot(m *message) **collection {
	if m.Response() {
		return &s.collecting[1]
	}
	return &s.collecting[0]
}

// collect takes one opened fragment and returns the whole when it is the last one missing. A total that has grown starts
// anew, because the peer has cut the message smaller; one that has shrunk is an old fragment (RFC 7383 §2.6).
func (s *SA) collect(m *message, env wire.Envelope, plain []byte) (first wire.PayloadType, whole []byte, err error) {
	if env.Total > maxFragments {
		return 0, nil, fmt.Errorf("a message of %d fragments, more than %d", env.Total, maxFragments)
	}
	slot := s.slot(m)
	c := *slot
	if c != nil && c.id == m.MessageID && c.exchange != m.Exchange {
		return 0, nil, errors.New("a fragment of another exchange than those before it")
	}
	if c == nil || c.id != m.MessageID || env.Total > c.total {
		c = &collection{id: m.MessageID, exchange: m.Exchange, total: env.Total, parts: make([][]byte, env.Total)}
		*slot = c
	}
	part := &c.parts[min(env.Fragment, c.total)-1]
	switch {
	case env.Total < c.total:
		return 0, nil, errors.New("a fragment of a message that has been cut smaller since")
	case *part != nil:
		return 0, nil, errors.New("a fragment that is here already")
	case c.size+len(plain) > maxCollected:
		*slot = nil
		return 0, nil, errors.New("fragments of too long a message")
	}
	*part = append([]byte{}, plain...)
	c.got++
	c.size += len(plain)
	if env.Fragment == 1 {
		c.inner, c.first = env.Inner, slices.Clone(m.raw)
	}
	if c.got < int(c.total) {
		return 0, nil, errIncomplete
	}
	*slot = nil
	m.raw = c.first
	return c.inner, slices.Concat(c.parts...), nil
}

// sealFragments cuts plain into as few fragments as fit (RFC 7383 §2.5.1).
func (s *SA) sealFragments(h wire.Header, first wire.PayloadType, plain []byte) (out [][]byte) {
	alg := s.keys.alg
	room := s.p.maxMessage(s.path) - fragmentHeader - alg.IVLen - alg.TagLen
	room = max(room, 64)/alg.Block*alg.Block - 1 // the pad length octet; PadSK fills up to a block
	total := (len(plain) + room - 1) / room
	for i := range total {
		part := wire.PadSK(slices.Clone(plain[i*room:min((i+1)*room, len(plain))]), alg.Block)
		msg, aadLen := wire.BeginSKF(h, first, uint16(i+1), uint16(total), alg.IVLen, len(part)+alg.TagLen)
		out = append(out, s.sealBody(msg, aadLen, part))
	}
	return out
}

// fragmentHeader is what stands before the IV of a fragment.
const fragmentHeader = wire.HeaderLen + 8

// sealedLen is the length of a message with n octets of payloads in one piece.
func (s *SA) sealedLen(n int) int {
	alg := s.keys.alg
	padded := (n + 1 + alg.Block - 1) / alg.Block * alg.Block
	return wire.HeaderLen + 4 + alg.IVLen + padded + alg.TagLen
}

// maxMessage is how long an IKE message may be so that its datagram is within FragmentSize.
func (p *peer) maxMessage(path esp.Path) int {
	size := p.cfg.FragmentSize
	if size == 0 {
		size = 1280
	}
	ip := 20
	if path.Remote.Addr().Is6() && !path.Remote.Addr().Is4In6() {
		ip = 40
	}
	return size - ip - 8 - 4 // UDP, non-ESP marker
}

// supportsFragments announces RFC 7383 in IKE_SA_INIT.
func supportsFragments() wire.Payload {
	return &wire.Notify{Kind: wire.NotifyIKEv2FragmentationSupported}
}
