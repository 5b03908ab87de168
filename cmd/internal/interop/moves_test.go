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
	{"drain", func(*fleet) error { return nil }, func(f *fleet) error { return f.operator("drain") }, "2"},
	{"undrain", func(f *fleet) error { return errors.Join(f.operator("drain"), f.carries("2", limitStatus)) },
		func(f *fleet) error { return f.operator("undrain") }, "1"},
	{"failback", (*fleet).driven, (*fleet).heal, "1"},
}

// operator drains tunnel 1, or ends that.
func (f *fleet) operator(what string) error {
	_, err := f.ours.command(limitTool, what, "site/1")
	return err
}

// driven makes traffic leave tunnel 1, whose path is cut: it takes traffic to see that soon.
func (f *fleet) driven() error {
	s, err := f.startStream(gateEvery)
	if err != nil {
		return err
	}
	if err := errors.Join(cut(toPeer+fromPeer)(f), f.carries("2", limitBack)); err != nil {
		return err
	}
	_, _, err = s.end()
	return err
}

// limitBack is how long a tunnel may take to come back and to prove itself.
const limitBack = 60 * time.Second

// make lets a stream, with so long between packets, go on while traffic moves, in a lab that is used up then.
func (m move) make(l *lab, every time.Duration) (finding, error) {
	defer l.close()
	f, err := l.twinboreFleet()
	if err == nil {
		err = m.before(f)
	}
	if err != nil {
		return finding{}, err
	}
	s, err := l.startStream(every)
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
