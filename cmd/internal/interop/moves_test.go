//go:build interop

package interop

import (
	"errors"
	"time"
)

// A move is meant: traffic changes its tunnel while both carry it, and not a packet is lost.
type move struct {
	name   string
	before func(f *fleet) error // a stream begins after it
	do     func(f *fleet) error
	to     string // the tunnel that carries the traffic then
}

var moves = []move{
	{"failback", func(f *fleet) error { return errors.Join(cut(toPeer+fromPeer)(f), f.carries("2", limitBack)) }, (*fleet).heal, "1"},
}

// limitBack is how long a tunnel may take to come back and to prove itself.
const limitBack = 60 * time.Second

// make lets a stream go on while traffic moves, in a lab that is used up then.
func (m move) make(l *lab) (finding, error) {
	defer l.close()
	f, err := l.twinboreFleet()
	if err == nil {
		err = m.before(f)
	}
	if err != nil {
		return finding{}, err
	}
	s, err := l.startStream(time.Millisecond)
	if err != nil {
		return finding{}, err
	}
	time.Sleep(before)
	if err := errors.Join(m.do(f), f.carries(m.to, limitBack)); err != nil {
		return finding{}, err
	}
	time.Sleep(before)
	out := finding{Event: m.name, Gateways: ourFailover.gateways}
	if out.There, out.Back, err = s.end(); err != nil {
		return finding{}, err
	}
	out.Clear, err = f.clear()
	return out, err
}
