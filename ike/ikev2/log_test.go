package ikev2

import (
	"fmt"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// This file is how a lab writes down what is said and done: the lower half of a transcript.

func (l *lab) logf(format string, args ...any) {
	l.clock()
	fmt.Fprintf(&l.log, "       "+format+"\n", args...)
}

// clock notes that time has passed since the last line.
func (l *lab) clock() {
	if l.now.After(l.logged) {
		fmt.Fprintf(&l.log, "after %v\n", l.now.Sub(start).Round(time.Millisecond))
	}
	l.logged = l.now
}

// logSend writes the line of a message: what is inside and why, or that it is sent again.
func (l *lab) logSend(g *gateway, d session.Datagram, events []session.Event) {
	h, err := wire.ParseHeader(d.Bytes)
	if err != nil {
		l.t.Fatalf("%s sends a message that does not parse: %v", g.name, err)
	}
	if problem := l.used.message(h, d.Bytes, l.strict); problem != "" {
		l.t.Fatalf("%s %s\n%s", g.name, problem, l.log.String())
	}
	payloads, story := "(again)", ""
	if env, err := wire.FindEnvelope(d.Bytes, h); err == nil && env.Kind == wire.TypeSKF {
		payloads = fmt.Sprintf("fragment %d of %d", env.Fragment, env.Total)
	}
	for _, e := range events {
		if e.Kind == session.Message && e.Sent && !e.Again && e.MessageID == h.MessageID && e.Exchange == h.Exchange.String() && e.IKE.SPIi == h.SPIi {
			story = e.Story
			if payloads == "(again)" {
				payloads = e.Payloads
			} else {
				payloads += ": " + e.Payloads
			}
		}
	}
	direction := g.name + " → " + l.other(g).name
	what := "request"
	if h.Response() {
		what = "answer"
	}
	line := fmt.Sprintf("%s  %s %s #%d  {%s}", direction, h.Exchange, what, h.MessageID, payloads)
	if story != "" {
		line += "  " + story
	}
	l.clock()
	l.log.WriteString(line + "\n")
}

func (l *lab) logEvent(g *gateway, e session.Event) {
	switch e.Kind {
	case session.Message:
		if !e.Sent && e.Story != "" {
			l.logf("%s: %s", g.name, e.Story)
		}
	case session.Dropped:
		l.logf("%s: dropped: %s", g.name, e.Story)
	case session.IKEUp, session.IKERekeyed:
		secret := ""
		if e.IKE.Secret != "" {
			secret = ", the " + e.IKE.Secret + " key"
		}
		if e.IKE.PPK != "" {
			secret += ", ppk " + e.IKE.PPK
		}
		l.logf("%s: %v %s, %s === %s, nat %s%s", g.name, e.Kind, e.IKE.Suite, e.IKE.LocalID, e.IKE.RemoteID, e.IKE.NAT, secret)
	case session.Moved:
		l.logf("%s: %v to %v, nat %s", g.name, e.Kind, e.IKE.Path, e.IKE.NAT)
	case session.ChildMoved:
		l.logf("%s: %v %v, nat %s, in UDP %v", g.name, e.Kind, e.Child.ID, e.IKE.NAT, e.Child.Encap)
	case session.ChildUp:
		l.logf("%s: %v %v %s", g.name, e.Kind, e.Child.ID, e.Child.Suite)
	case session.ChildRekeyed:
		l.logf("%s: %v, %v after %v, %s", g.name, e.Kind, e.Child.ID, e.Old, e.Child.Suite)
	default:
		l.logf("%s: %v %s: %s", g.name, e.Kind, e.Reason, e.Hint)
	}
}
