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
	seq, _, err := o.Reserve(1, 0, len(inner))
	if err != nil {
		return dst, err
	}
	body, end := len(dst)+Headroom(o.alg), len(dst)+SealedLen(o.alg, len(inner))-o.alg.TagLen
	room := slices.Grow(dst, end+o.alg.TagLen-len(dst))[:end]
	copy(room[body:], inner) // first, for inner may lie where the header will be
	writeTrailer(room[body+len(inner):end], next)
	return o.seal(room[:len(dst)], room[body:end], seq)
}

// Reserve takes sequence numbers for a run of n packets, n at least 1: the last carries last octets and each of the
// others size. The first number is returned, the others follow it. granted is less than n when the SA has reached its
// end, and err says why: ErrSeqExhausted or ErrExpired. Numbers that are then not used are a gap, as a loss makes one.
func (o *Outbound) Reserve(n, size, last int) (first uint64, granted int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first = o.seq + 1
	if octets := (n-1)*size + last; uint64(n) <= o.last-o.seq && o.fits(n, octets) {
		o.seq += uint64(n)
		o.add(n, octets)
		granted = n
	}
	for granted < n { // near the end of the SA: as many as there are
		octets := size
		if granted == n-1 {
			octets = last
		}
		if o.seq == o.last { // RFC 4303 §3.3.3: the number must not cycle
			o.raise()
			err = ErrSeqExhausted
			break
		}
		if !o.fits(1, octets) {
			err = ErrExpired
			break
		}
		o.seq++
		o.add(1, octets)
		granted++
	}
	if o.seq >= o.warn {
		o.raise()
	}
	o.publish()
	return first, granted, err
}

// SealAs is Seal for a packet whose number Reserve gave; each number is for one packet. inner lies elsewhere than
// dst and its room. The octets behind inner, as far as padding and trailer reach, are written and put back if inner's
// capacity has them; they spare the copy of inner. It returns an error of the random source if it has any.
func (o *Outbound) SealAs(dst, inner []byte, next uint8, seq uint64) ([]byte, error) {
	n, whole := len(inner), len(inner)+padLen(o.alg, len(inner))+trailerLen
	if cap(inner) < whole {
		body := len(dst) + Headroom(o.alg)
		dst = slices.Grow(dst, SealedLen(o.alg, n))
		room := dst[body : body+whole]
		copy(room, inner)
		writeTrailer(room[n:], next)
		return o.seal(dst, room, seq)
	}
	inner = inner[:whole]
	var kept [maxTrailer]byte
	copy(kept[:], inner[n:])
	writeTrailer(inner[n:], next)
	sealed, err := o.seal(slices.Grow(dst, SealedLen(o.alg, n)), inner, seq)
	copy(inner[n:], kept[:])
	return sealed, err
}

// writeTrailer fills b with padding, its length and the next header (RFC 4303 §2.4).
func writeTrailer(b []byte, next uint8) {
	pad := len(b) - trailerLen
	for i := range pad {
		b[i] = byte(i + 1)
	}
	b[pad], b[pad+1] = byte(pad), next
}

// seal appends to dst, which has the room, the ESP packet of plaintext under the number seq. plaintext lies outside of
// that room, or exactly where its ciphertext goes.
func (o *Outbound) seal(dst, plaintext []byte, seq uint64) ([]byte, error) {
	start, body := len(dst), len(dst)+Headroom(o.alg)
	head := dst[start:body]
	binary.BigEndian.PutUint32(head, uint32(o.spi))
	binary.BigEndian.PutUint32(head[4:], uint32(seq))
	iv := head[headerLen:]
	if o.alg.AEAD {
		binary.BigEndian.PutUint64(iv, seq) // never twice under one key, RFC 4106 §3.1
	} else if _, err := io.ReadFull(o.rand, iv); err != nil { // unpredictable, RFC 3602 §3
		return dst, fmt.Errorf("IV: %w", err)
	}
	aad, tail, kept := o.covering.of(head, seq)
	sealed := o.protector.Seal(dst[:body], iv, plaintext, aad, tail)
	o.covering.done(kept)
	return sealed, nil
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
