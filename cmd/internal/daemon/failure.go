package daemon

import (
	"twinbore/cmd/internal/api"
	"twinbore/ike/session"
)

// failed reports whether an event is the end of a negotiation that both ends may have to be compared for (F3). One that
// was given up on purpose is none.
func failed(ev session.Event) bool {
	if ev.Reason == session.AdminDown {
		return false
	}
	switch ev.Kind {
	case session.Failed, session.ChildFailed:
		return true
	}
	return ev.Offers != nil
}

// showFailure is what the status keeps of a failed negotiation.
func showFailure(ev session.Event) *api.Failure {
	out := &api.Failure{Time: api.Stamp(ev.Time), Reason: string(ev.Reason), Hint: ev.Hint, Ours: []string{}, Theirs: []string{},
		Transforms: []api.Transform{}}
	if ev.Offers == nil {
		return out
	}
	out.About, out.Told = api.Ptr(ev.Offers.About), ev.Offers.Told
	out.Ours, out.Theirs = listed(ev.Offers.Ours), listed(ev.Offers.Theirs)
	for _, r := range ev.Offers.Rows {
		out.Transforms = append(out.Transforms, api.Transform{What: r.What, Ours: listed(r.Ours), Theirs: listed(r.Theirs), Differs: r.Differs})
	}
	return out
}

// listed makes an empty list of none: programs outside see [] and not null.
func listed(words []string) []string { return append([]string{}, words...) }
