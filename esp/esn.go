package esp

import (
	"encoding/binary"
	"sync"

	"twinbore/esp/protect"
)

// A covering is what the integrity check covers besides IV and ciphertext, made of the packet's header and, with extended
// sequence numbers, of the high half that is never sent:
//
//	no ESN            aad  SPI | sequence
//	ESN, AEAD         aad  SPI | high | low              RFC 4106 §5, RFC 7634 §2.1
//	ESN, separate     aad  SPI | low       tail  high    RFC 4303 §2.2.1
type covering struct {
	esn, aead bool
	pool      sync.Pool // *[12]byte: on the stack it would escape into the protector
}

func (c *covering) init(alg *protect.Algorithm, esn bool) {
	c.esn, c.aead = esn, alg.AEAD
	c.pool.New = func() any { return new([12]byte) }
}

// of returns the parts for a packet with header (SPI, sequence) and the number seq. done must be given what it returns
// last, once aad and tail are no longer used.
func (c *covering) of(header []byte, seq uint64) (aad, tail []byte, kept *[12]byte) {
	if !c.esn {
		return header[:headerLen], nil, nil
	}
	kept = c.pool.Get().(*[12]byte)
	if c.aead {
		copy(kept[:4], header)
		binary.BigEndian.PutUint64(kept[4:], seq)
		return kept[:], nil, kept
	}
	binary.BigEndian.PutUint32(kept[:4], uint32(seq>>32))
	return header[:headerLen], kept[:4], kept
}

func (c *covering) done(kept *[12]byte) {
	if kept != nil {
		c.pool.Put(kept)
	}
}
