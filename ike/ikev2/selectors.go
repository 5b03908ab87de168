package ikev2

import (
	"twinbore/esp"
	"twinbore/ike/wire"
)

// toWire makes a TS payload (RFC 7296 §3.13).
func toWire(list []esp.Selector, initiator bool) *wire.TS {
	ts := &wire.TS{Initiator: initiator}
	for _, s := range list {
		ts.Selectors = append(ts.Selectors, wire.TrafficSelector{Proto: s.Proto, FromPort: s.FromPort, ToPort: s.ToPort, From: s.From, To: s.To})
	}
	return ts
}

func fromWire(ts *wire.TS) []esp.Selector {
	list := make([]esp.Selector, 0, len(ts.Selectors))
	for _, s := range ts.Selectors {
		list = append(list, esp.Selector{Proto: s.Proto, FromPort: s.FromPort, ToPort: s.ToPort, From: s.From, To: s.To})
	}
	return list
}

// maxSelectors is what a TS payload can count (RFC 7296 §3.13): an intersection has at most ours times theirs.
const maxSelectors = 255

// narrow returns what our policy and the peer's request have in common (RFC 7296 §2.9). What the peer asks for first,
// which may be the packet that it wants to send, stays first.
func narrow(policy, asked []esp.Selector) []esp.Selector {
	var out []esp.Selector
	for _, theirs := range asked {
		for _, ours := range policy {
			both, ok := theirs.Intersect(ours)
			if !ok || covered(out, both) {
				continue
			}
			if out = append(out, both); len(out) == maxSelectors {
				return out
			}
		}
	}
	return out
}

// covered reports whether one of list has all of s.
func covered(list []esp.Selector, s esp.Selector) bool {
	for _, have := range list {
		if have.Covers(s) {
			return true
		}
	}
	return false
}

// within reports whether an answer stays inside what was asked for (TS-02).
func within(asked, answer []esp.Selector) bool {
	for _, s := range answer {
		if !covered(asked, s) {
			return false
		}
	}
	return len(answer) > 0
}
