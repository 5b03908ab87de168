package esp

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"twinbore/esp/protect"
)

// An Outbound is the sending direction of a Child SA. It is safe for concurrent use; packets get their numbers in the
// order of the calls, and to send them in that order is the caller's business.
type Outbound struct {
	usage
	spi       SPI
	alg       *protect.Algorithm
	protector protect.Protector
	covering  covering
	last      uint64 // the last sequence number that may be used
	warn      uint64 // from this number on, the SA must be replaced
	rand      io.Reader

	mu  sync.Mutex // guards seq and the counts of usage
	seq uint64     // of the last packet sealed; 0 before the first (RFC 4303 §2.2)
}

// NewOutbound makes the SA that p describes; p.Window is not looked at. random is where IVs of a cipher in CBC mode come
// from, nil means crypto/rand; it must be safe for concurrent use. p.Key may be cleared afterwards.
func NewOutbound(p Params, limits Limits, random io.Reader) (*Outbound, error) {
	protector, err := p.protector()
	if err != nil {
		return nil, err
	}
	o := &Outbound{spi: p.SPI, alg: p.Algorithm, protector: protector, last: math.MaxUint32, rand: random}
	if p.ESN {
		o.last = math.MaxUint64
	}
	if o.rand == nil {
		o.rand = rand.Reader
	}
	o.warn = o.last - o.last/8
	o.limits = limits
	o.covering.init(p.Algorithm, p.ESN)
	return o, nil
}

// protector checks what both directions need and makes the protector.
func (p Params) protector() (protect.Protector, error) {
	if p.SPI < 256 { // E-04
		return nil, fmt.Errorf("SPI %s is reserved", p.SPI)
	}
	if p.Algorithm == nil {
		return nil, fmt.Errorf("SPI %s: no algorithm", p.SPI)
	}
	protector, err := p.Algorithm.New(p.Key)
	if err != nil {
		return nil, fmt.Errorf("SPI %s: %w", p.SPI, err)
	}
	return protector, nil
}

// Seal appends to dst the ESP packet that carries inner, and returns the longer slice. next is the protocol of inner: 4
// for IPv4, 41 for IPv6.
//
// When inner lies at dst[len(dst)+Headroom(alg):] and dst has room for SealedLen(alg, len(inner)) more octets, nothing is
// moved: the packet is sealed where it is. Inner packets that lie elsewhere are copied; they may overlap the room in any
// way, and are then overwritten. Without room a new slice is allocated.
//
// It returns ErrSeqExhausted or ErrExpired when the SA may carry no more, or an error of the random source if it has
// any. It then returns dst as it was; the octets after it are undefined.
func (o *Outbound) Seal(dst, inner []byte, next uint8) ([]byte, error) {
	seq, err := o.number(len(inner))
	if err != nil {
		return dst, err
	}
	start, body := len(dst), len(dst)+Headroom(o.alg)
	pad := padLen(o.alg, len(inner))
	end := body + len(inner) + pad + trailerLen
	dst = slices.Grow(dst, end+o.alg.TagLen-start)[:end]

	copy(dst[body:], inner) // first, for inner may lie where the header will be
	for i := range pad {
		dst[body+len(inner)+i] = byte(i + 1)
	}
	dst[end-2], dst[end-1] = byte(pad), next
	binary.BigEndian.PutUint32(dst[start:], uint32(o.spi))
	binary.BigEndian.PutUint32(dst[start+4:], uint32(seq))
	iv := dst[start+headerLen : body]
	if o.alg.AEAD {
		binary.BigEndian.PutUint64(iv, seq) // never twice under one key, RFC 4106 §3.1
	} else if _, err := io.ReadFull(o.rand, iv); err != nil { // unpredictable, RFC 3602 §3
		return dst[:start], fmt.Errorf("IV: %w", err)
	}

	aad, tail, kept := o.covering.of(dst[start:body], seq)
	dst = o.protector.Seal(dst[:body], iv, dst[body:end], aad, tail)
	o.covering.done(kept)
	return dst, nil
}

// number takes the next sequence number for a packet of n octets.
func (o *Outbound) number(n int) (uint64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seq == o.last { // RFC 4303 §3.3.3: the number must not cycle
		o.raise()
		return 0, ErrSeqExhausted
	}
	if !o.fits(n) {
		return 0, ErrExpired
	}
	o.seq++
	o.add(n)
	if o.seq >= o.warn {
		o.raise()
	}
	return o.seq, nil
}

// Sequence returns the number of the last packet sealed, 0 before the first.
func (o *Outbound) Sequence() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seq
}

// SPI returns the SPI that the packets bear, which the peer chose.
func (o *Outbound) SPI() SPI { return o.spi }

// Algorithm returns what protects the packets.
func (o *Outbound) Algorithm() *protect.Algorithm { return o.alg }
