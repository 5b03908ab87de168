package ikev2

import (
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// TestUnknownNotifiesInAnswers is N-11 (RFC 7296 §3.10.1): an error nobody knows fails the request that it answers, and that
// alone; a status nobody knows means nothing, beside whatever it stands.
func TestUnknownNotifiesInAnswers(t *testing.T) {
	const unknownError, unknownStatus = 8191, 40959
	for _, m := range moments {
		if !m.answer() || m.clear() || m.auth() {
			continue // TestForgedRefusals and TestAuthAnswers have these
		}
		l, g := m.reach(t)
		l.edit(g, func(list []wire.Payload) []wire.Payload {
			return append(list, &wire.Notify{Kind: unknownStatus, Data: []byte("?")})
		})
		if l.settle(); m.name == "delete IKE answer" {
			l.mustBeGone()
		} else {
			l.unharmed()
		}
		if m.must == nil {
			continue // what a Delete or a liveness check was for has happened, whatever the answer says
		}

		l, g = m.reach(t)
		made := func() (n int) {
			for _, kind := range []session.Kind{session.ChildUp, session.ChildRekeyed, session.IKERekeyed} {
				n += len(filter(l.a.events, kind))
			}
			return n
		}
		before := made()
		l.edit(g, func([]wire.Payload) []wire.Payload { return []wire.Payload{&wire.Notify{Kind: unknownError}} })
		l.deliver(g)
		if made() > before {
			t.Errorf("%s: something was made of an error", m.name)
		}
		if len(filter(l.a.events, session.Failed))+len(filter(l.a.events, session.ChildFailed)) == 0 {
			t.Errorf("%s: nobody is told of the error\n%s", m.name, l.log.String())
		}
		if len(filter(l.a.events, session.IKEDown)) > 0 {
			t.Errorf("%s: it cost the IKE SA", m.name)
		}
		l.mustBeSound()
	}
}
