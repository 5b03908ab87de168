package datapath

import (
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

// An SPI is an index into the table of inbound SAs and a generation, xored with a secret of this run:
//
//	 31        20 19                     0
//	+------------+------------------------+
//	| generation |         index          |  ^ secret
//	+------------+------------------------+
//
// So a lookup is one array load and one comparison. The secret and the generation only keep SPIs of an
// earlier run and of an earlier SA in the same place apart; what protects a packet is its integrity check. Where there are
// several workers, only generations are used that make it the SPI of the worker whose turn it is (transport.WorkerOf).
const (
	indexBits = 20
	indexMask = 1<<indexBits - 1
	firstSPI  = 256 // RFC 4303 §2.1
)

// sad is the SA database of inbound SAs (RFC 4301 §4.4.2). Readers take no lock.
type sad struct {
	rand    io.Reader
	workers int
	secret  uint32
	slots   atomic.Pointer[[]atomic.Pointer[child]] // grows by copying

	mu   sync.Mutex // guards the following, and all changes of slots
	spis []uint32   // the SPI that a slot was given out as; 0: free
	last []uint32   // the SPI that a slot had before
	free []uint32   // free slots, the one that was given back first is used first
	turn int        // the worker who gets the next SA
}

func (s *sad) init(rand io.Reader, workers int) error {
	var b [4]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return err
	}
	s.rand, s.workers, s.secret = rand, workers, binary.BigEndian.Uint32(b[:])
	s.slots.Store(new([]atomic.Pointer[child]))
	return nil
}

// lookup returns the child whose inbound SPI is spi, or nil.
func (s *sad) lookup(spi uint32) *child {
	slots, i := *s.slots.Load(), (spi^s.secret)&indexMask
	if int(i) >= len(slots) {
		return nil
	}
	if c := slots[i].Load(); c != nil && uint32(c.id) == spi {
		return c
	}
	return nil
}

// AllocSPI reserves an SPI for a Child SA that will be installed, or given back by Remove. It is 0 when a million are
// in use or there is no randomness.
func (g *Gateway) AllocSPI() esp.SPI { return esp.SPI(g.sad.alloc()) }

func (s *sad) alloc() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 && !s.grow() {
		return 0
	}
	var b [4]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return 0
	}
	i := s.free[0]
	s.free = s.free[1:]
	for generation := binary.BigEndian.Uint32(b[:]); ; generation += 1 << indexBits {
		if spi := (generation&^indexMask | i) ^ s.secret; spi >= firstSPI && spi != s.last[i] && transport.WorkerOf(esp.SPI(spi), s.workers) == s.turn {
			s.spis[i], s.last[i] = spi, spi
			s.turn = (s.turn + 1) % s.workers
			return spi
		}
	}
}

// grow doubles the table. The caller holds mu.
func (s *sad) grow() bool {
	old := *s.slots.Load()
	if len(old) > indexMask {
		return false
	}
	size := max(64, 2*len(old))
	slots := make([]atomic.Pointer[child], size)
	for i := range old {
		slots[i].Store(old[i].Load())
	}
	for i := len(old); i < size; i++ {
		s.free = append(s.free, uint32(i))
	}
	s.spis = append(s.spis, make([]uint32, size-len(old))...)
	s.last = append(s.last, make([]uint32, size-len(old))...)
	s.slots.Store(&slots)
	return true
}

// put makes c findable. It reports false if c's SPI is not reserved or is in use.
func (s *sad) put(c *child) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := (uint32(c.id) ^ s.secret) & indexMask
	if int(i) >= len(s.spis) || uint32(c.id) == 0 || s.spis[i] != uint32(c.id) {
		return false
	}
	return (*s.slots.Load())[i].CompareAndSwap(nil, c)
}

// take forgets an SPI and returns the child that it led to, if any.
func (s *sad) take(spi uint32) *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := (spi ^ s.secret) & indexMask
	if int(i) >= len(s.spis) || spi == 0 || s.spis[i] != spi {
		return nil
	}
	s.spis[i] = 0
	s.free = append(s.free, i)
	return (*s.slots.Load())[i].Swap(nil)
}
