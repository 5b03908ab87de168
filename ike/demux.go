package ike

import (
	"bytes"
	"context"
	"time"

	"twinbore/esp"
	"twinbore/ike/wire"
)

// demux reads the Conn until it is closed or ctx is done, and brings each message to its shard. It looks at headers;
// only where a cookie is asked for does it read a message whole.
func (e *Engine) demux(ctx context.Context) error {
	buf := make([]byte, wire.MaxMessage)
	for {
		n, on, err := e.cfg.Conn.ReadIKE(buf)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		e.route(time.Now(), buf[:n], on)
	}
}

// route takes one message, which is only borrowed. A fault in reading it costs this message.
func (e *Engine) route(now time.Time, msg []byte, on esp.Path) {
	defer func() {
		if cause := recover(); cause != nil {
			e.fault("demultiplexer", "", cause)
			e.dropped(now, dropPanic, on.Remote)
		}
	}()
	h, err := wire.ParseHeader(msg)
	if err != nil || h.SPIi == 0 {
		e.dropped(now, dropMalformed, on.Remote)
		return
	}
	e.count.addTo(e.count.received, exchangeLabel(h.Exchange))
	switch judge(h.Version) {
	case foreign:
		e.dropped(now, dropVersion, on.Remote)
		return
	case tooHigh: // never an answer to an answer (RFC 7296 §2.5)
		e.dropped(now, dropVersion, on.Remote)
		e.notice(now, invalidVersion, h, on)
		return
	}
	// The sender's role says which SPI is ours: the end that began the IKE SA has put its own first.
	local := h.SPIi
	if h.Initiator() {
		local = h.SPIr
	}
	if to, owner := e.table.bySPI(local); to != nil {
		e.deliver(now, owner, mail{to: to, msg: bytes.Clone(msg), on: on})
		return
	}
	if h.Exchange == wire.IKESAInit && h.Initiator() && !h.Response() && h.SPIr == 0 {
		e.first(now, h, msg, on)
		return
	}
	if h.Exchange == wire.IKESAInit {
		e.dropped(now, dropUnexpected, on.Remote)
		return
	}
	e.dropped(now, dropUnknownSPI, on.Remote)
	e.notice(now, invalidSPI, h, on)
}

// first takes an IKE_SA_INIT request. Until its sender's address is proven it costs no state beyond the limits,
// and no answer is larger or comes more often than what was received.
func (e *Engine) first(now time.Time, h wire.Header, msg []byte, on esp.Path) {
	if h.MessageID != 0 {
		e.dropped(now, dropUnexpected, on.Remote)
		return
	}
	source, configured := sourceOf(on.Remote.Addr()), e.peers.configured(on.Remote.Addr())
	ok, tracked := e.rates.take(now, source, configured)
	if !ok {
		e.dropped(now, dropSourceRate, on.Remote)
		e.limited(now, on)
		return
	}
	key := initKey{h.SPIi, on.Remote}
	if to, owner := e.table.byInit(key); to != nil { // sent again: its session has the answer (RFC 7296 §2.1)
		e.deliver(now, owner, mail{to: to, msg: bytes.Clone(msg), on: on})
		return
	}
	asOf := e.peers.now() // before it is asked
	candidates := e.peers.match(on.Local.Addr(), on.Remote.Addr())
	if len(candidates) == 0 {
		e.dropped(now, dropUnknownPeer, on.Remote)
		e.notice(now, noProposal, h, on)
		return
	}
	if candidates = e.peers.admitted(candidates); len(candidates) == 0 {
		e.dropped(now, dropBarred, on.Remote)
		return
	}
	need := e.table.pressure(source, configured)
	if need == relaxed && !tracked {
		need = guarded
	}
	switch need {
	case exceeded:
		e.dropped(now, dropHalfOpen, on.Remote)
		return
	case guarded:
		if !e.proven(now, msg, on, configured) {
			return
		}
	}
	n := &handle{candidates: candidates, asOf: asOf, halfOpen: true, init: key, source: source, configured: configured,
		children: map[esp.ChildID]bool{}}
	owner := e.shardOf(candidates[0].Peer)
	if len(candidates) > 1 { // who it is will be known later; until then the work is spread
		owner = e.shards[h.SPIi%uint64(len(e.shards))]
	}
	if e.table.enter(n, owner) != nil {
		e.dropped(now, dropClosing, on.Remote)
		return
	}
	if !e.deliver(now, owner, mail{to: n, msg: bytes.Clone(msg), on: on}) {
		e.table.forget(n)
	}
}

// proven reports whether an IKE_SA_INIT request returns a good cookie. If not, it is answered with one.
func (e *Engine) proven(now time.Time, msg []byte, on esp.Path, configured bool) bool {
	m, err := wire.ParseMessage(msg)
	if err != nil || nonceOf(m) == nil {
		e.dropped(now, dropMalformed, on.Remote)
		return false
	}
	from := on.Remote.Addr()
	if e.cookies.returned(now, m, from) {
		return true
	}
	cookie, err := e.cookies.answer(now, m, from)
	if err != nil {
		e.log.Error("no randomness for cookies", "err", err)
		e.dropped(now, dropAnswerRate, on.Remote)
		return false
	}
	if !configured && !e.answers[askCookie].take(now, notices[askCookie].perSecond) {
		e.dropped(now, dropAnswerRate, on.Remote)
		return false
	}
	if e.answer(m.Header, &wire.Notify{Kind: wire.NotifyCookie, Data: cookie}, on) {
		e.count.add(&e.count.cookies)
	}
	return false
}

// deliver puts m into owner's inbox and reports whether there was room.
func (e *Engine) deliver(now time.Time, owner *shard, m mail) bool {
	if owner.inbox.put(m) {
		return true
	}
	e.dropped(now, dropInboxFull, m.on.Remote)
	return false
}

// send writes one message. What the network does not take is lost, as on the way: the peer or we will ask again.
func (e *Engine) send(msg []byte, exchange wire.ExchangeType, on esp.Path) error {
	if err := e.cfg.Conn.WriteIKE(msg, on); err != nil {
		e.count.add(&e.count.sendErrors)
		e.log.Debug("message not sent", "local", on.Local.String(), "remote", on.Remote.String(), "err", err)
		return err
	}
	e.count.addTo(e.count.sent, exchangeLabel(exchange))
	return nil
}

// exchangeLabel keeps what strangers write from becoming labels without bound.
func exchangeLabel(x wire.ExchangeType) string {
	switch x {
	case wire.IKESAInit, wire.IKEAuth, wire.CreateChildSA, wire.Informational, wire.IKEIntermediate, wire.IKEFollowupKE:
		return x.String()
	}
	return "other"
}
