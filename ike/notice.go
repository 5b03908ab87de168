package ike

import (
	"time"

	"twinbore/esp"
	"twinbore/ike/wire"
)

// A noticeKind is an answer that needs no session.
type noticeKind uint8

const (
	invalidVersion noticeKind = iota
	invalidSPI
	noProposal
	askCookie
	noticeKinds // how many there are
)

// notices says what is sent and how often a second at most: these answers help an honest peer that is lost, and
// must not help anybody to flood a third (RFC 7296 §2.21.4).
var notices = [noticeKinds]struct {
	kind      wire.NotifyType
	perSecond int
}{
	invalidVersion: {wire.NotifyInvalidMajorVersion, 1},
	invalidSPI:     {wire.NotifyInvalidIKESPI, 1},
	noProposal:     {wire.NotifyNoProposalChosen, 10},
	askCookie:      {wire.NotifyCookie, 1000},
}

// notice answers a request outside any session, at a bounded rate. A response is never answered.
func (e *Engine) notice(now time.Time, k noticeKind, h wire.Header, on esp.Path) {
	n := notices[k]
	if h.Response() || !e.answers[k].take(now, n.perSecond) {
		return
	}
	e.answer(h, &wire.Notify{Kind: n.kind}, on)
}

// answer sends one notify in clear and reports whether it left. It is never longer than the request, for whose address
// that carries is not known.
func (e *Engine) answer(h wire.Header, n *wire.Notify, on esp.Path) bool {
	out := wire.Message{
		Header: wire.Header{SPIi: h.SPIi, SPIr: h.SPIr, Version: wire.V2, Exchange: h.Exchange, MessageID: h.MessageID,
			Flags: wire.FlagResponse | ^h.Flags&wire.FlagInitiator},
		Payloads: []wire.Payload{n},
	}
	msg := out.Marshal()
	return len(msg) <= int(h.Length) && e.send(msg, h.Exchange, on) == nil
}
