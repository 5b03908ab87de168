package esp

import (
	"encoding/binary"
	"fmt"
	"sync"

	"twinbore/esp/protect"
)

// maxWindow is the largest replay window, in packets: 8 KiB for each SA.
const maxWindow = 65536

// nextDummy is the next header of a packet that carries nothing, RFC 4303 §2.6.
const nextDummy = 59

// An Inbound is the receiving direction of a Child SA. It is safe for concurrent use.
type Inbound struct {
	usage
	spi       SPI
	alg       *protect.Algorithm
	protector protect.Protector
	covering  covering
	esn       bool
	check     bool // for replays
	grow      bool // the window

	mu     sync.Mutex // held for a run; guards what follows and the counts of usage
	window window
	late   lateness
}

// NewInbound makes the SA that p describes. p.Window is 0 or a power of two from 64 to 65536; 0, no replay check, does
// not go with ESN, whose high half is found with the window (RFC 4303 §2.2.1). p.Key may be cleared afterwards.
func NewInbound(p Params, limits Limits) (*Inbound, error) {
	switch {
	case p.Window == 0 && p.ESN: // E-06, RPL-10
		return nil, fmt.Errorf("SPI %s: extended sequence numbers need a replay window", p.SPI)
	case p.Window != 0 && (p.Window < 64 || p.Window > maxWindow || p.Window&(p.Window-1) != 0):
		return nil, fmt.Errorf("SPI %s: replay window %d is not 0 or a power of two from 64 to %d", p.SPI, p.Window, maxWindow)
	}
	protector, err := p.protector()
	if err != nil {
		return nil, err
	}
	in := &Inbound{spi: p.SPI, alg: p.Algorithm, protector: protector, esn: p.ESN, check: p.Window != 0,
		grow: p.Grow && p.Window != 0, window: newWindow(p.Window)}
	in.limits = limits
	in.covering.init(p.Algorithm, p.ESN)
	return in, nil
}

// Open checks and decrypts the ESP packet pkt, from the SPI to the last octet, in place. It returns what was sealed
// without ESP's padding, as a part of pkt, and its next header; Inner takes the IP packet out of that.
//
// err is one of ErrMalformed, ErrUnknownSPI, ErrReplay, ErrAuth, ErrDummy and ErrExpired; pkt is then of no more use. A
// packet that fails before or at its integrity check changes nothing in the SA (E-02, E-03).
func (in *Inbound) Open(pkt []byte) (inner []byte, next uint8, err error) {
	if len(pkt) < Headroom(in.alg) {
		return nil, 0, ErrMalformed
	}
	in.Begin()
	defer in.End()
	body := Headroom(in.alg)
	return in.OpenNext(pkt[body:body], pkt)
}

// Begin starts a run of packets, which OpenNext opens one by one and End ends. In between this SA belongs to the
// caller: the replay window and the counts are locked once for all. Nothing but opening should be done meanwhile.
func (in *Inbound) Begin() { in.mu.Lock() }

// End ends a run.
func (in *Inbound) End() {
	in.publish()
	in.mu.Unlock()
}

// OpenNext is Open between Begin and End, to another place: it appends the plaintext to dst and returns what of that was
// sealed. dst has room for len(pkt) octets that pkt has no part of, or is pkt itself up to its first octet of
// ciphertext, which opens in place. The room is overwritten even when there is an error.
func (in *Inbound) OpenNext(dst, pkt []byte) (inner []byte, next uint8, err error) {
	body := Headroom(in.alg)
	sealed := len(pkt) - body - in.alg.TagLen // octets of ciphertext
	if sealed < trailerLen || sealed%align(in.alg) != 0 {
		return nil, 0, ErrMalformed
	}
	if SPI(binary.BigEndian.Uint32(pkt)) != in.spi {
		return nil, 0, ErrUnknownSPI
	}
	seq, err := in.admit(binary.BigEndian.Uint32(pkt[4:]))
	if err != nil {
		return nil, 0, err
	}

	aad, tail, kept := in.covering.of(pkt, seq)
	plaintext, err := in.protector.Open(dst, pkt[headerLen:body], pkt[body:], aad, tail)
	in.covering.done(kept)
	if err != nil {
		if in.esn { // a number too old is taken for one of 2^32 later, whose check cannot be good
			in.late.note(&in.window, uint32(seq))
		}
		return nil, 0, ErrAuth
	}

	inner, next, good := unpad(plaintext[len(dst):])
	if err := in.take(seq, len(inner)); err != nil {
		return nil, 0, err
	}
	switch {
	case !good:
		return nil, 0, ErrMalformed
	case next == nextDummy:
		return nil, 0, ErrDummy
	}
	return inner, next, nil
}

// admit returns the whole number of a packet whose low half is low, unless it is a replay. It spares the integrity
// check, which is the dear part, and decides nothing else.
func (in *Inbound) admit(low uint32) (uint64, error) {
	if !in.fits(1, 0) {
		return 0, ErrExpired
	}
	seq, real := uint64(low), true
	if in.esn {
		seq, real = in.window.infer(low)
	}
	if in.check && !(real && in.window.fresh(seq)) {
		in.late.note(&in.window, low)
		return 0, ErrReplay
	}
	return seq, nil
}

// take enters an authentic packet: its number into the window, its n octets into the counts.
func (in *Inbound) take(seq uint64, n int) error {
	if !in.fits(1, n) {
		return ErrExpired
	}
	if in.check && !in.window.see(seq) {
		return ErrReplay
	}
	if in.grow && in.window.nearlyMissed(seq) && in.window.size() < maxWindow {
		in.window.double()
	}
	in.add(1, n)
	return nil
}

// unpad takes the trailer off. good is false when the padding is longer than the plaintext or is not 1,2,3,... (E-05).
func unpad(plaintext []byte) (inner []byte, next uint8, good bool) {
	end := len(plaintext) - trailerLen
	pad := int(plaintext[end])
	if pad > end {
		return nil, 0, false
	}
	for i, b := range plaintext[end-pad : end] {
		if b != byte(i+1) {
			return nil, 0, false
		}
	}
	return plaintext[:end-pad], plaintext[end+1], true
}

// SPI returns the SPI that the packets bear, which this gateway chose.
func (in *Inbound) SPI() SPI { return in.spi }

// Algorithm returns what protects the packets.
func (in *Inbound) Algorithm() *protect.Algorithm { return in.alg }
