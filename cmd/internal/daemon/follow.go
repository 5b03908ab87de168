package daemon

import (
	"slices"
	"time"
)

// follow tells the data path by which tunnels of a connection answers may leave besides the chosen ones, so that each flow
// keeps to the tunnel by which the peer sends it: those that are UP and not being drained.
func (l *loop) follow(now time.Time, c *connection) {
	if c.gone {
		return
	}
	var fit []string
	for _, t := range c.logic.Report(now).Tunnels {
		if t.Up && !t.Draining {
			fit = append(fit, t.Name)
		}
	}
	if slices.Equal(fit, c.followed) {
		return
	}
	c.followed = fit
	if err := l.gateway.Follow(c.shown.Name, fit...); err != nil {
		panic("bug: the data path and the loop disagree: " + err.Error())
	}
}
