package ikev2

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// A census is what was seen once and must not come again.
type census map[string]string

// enter notes that what was seen at a place, and fails when it was seen at another.
func (c census) enter(t *testing.T, what, where string) {
	t.Helper()
	if before, ok := c[what]; ok && before != where {
		t.Errorf("%s, and the same %s", where, before)
	}
	c[what] = where
}

// publicValues moves every message until none is left, and enters the public values, nonces and SPIs in them.
func (l *lab) publicValues(t *testing.T, keys, nonces, spis census) {
	t.Helper()
	l.overhear(func(g *gateway, h wire.Header, msg []byte) {
		var list []wire.Payload
		if h.Exchange == wire.IKESAInit {
			m, err := wire.ParseMessage(msg)
			if err != nil {
				t.Fatal(err)
			}
			list = m.Payloads
			for _, spi := range []uint64{h.SPIi, h.SPIr} {
				if spi != 0 {
					spis.enter(t, fmt.Sprintf("%016x", spi), fmt.Sprintf("IKE SA %016x", h.SPIi))
				}
			}
		} else {
			list = l.peek(g)
		}
		where := fmt.Sprintf("%s of %s, #%d of IKE SA %016x", h.Exchange, g.name, h.MessageID, h.SPIi)
		for _, p := range list {
			switch p := p.(type) {
			case *wire.KE:
				keys.enter(t, fmt.Sprintf("%d %x", p.Group, p.Data), where)
			case *wire.Nonce:
				nonces.enter(t, fmt.Sprintf("%x", p.Data), where)
			case *wire.SA:
				if spi := p.Proposals[0].SPI; len(spi) == 4 {
					spis.enter(t, fmt.Sprintf("%s %x", g.name, spi), where)
					if binary.BigEndian.Uint32(spi) < 256 {
						t.Errorf("%s has the reserved SPI %x", where, spi)
					}
				} else if len(spi) == 8 {
					spis.enter(t, fmt.Sprintf("%x", spi), where)
				}
			}
		}
	})
}

// TestNothingEphemeralComesAgain is CRY-03 (RFC 6989 §5), N-08 and CRY-12: over the whole life of a pair, with every exchange
// that has a public value in it, by either end, and over the next IKE SAs, no public value, nonce or SPI is used twice.
func TestNothingEphemeralComesAgain(t *testing.T) {
	for _, random := range []bool{false, true} { // of a seed, and the system's
		l := newLab(t)
		for _, g := range []*gateway{l.a, l.b} {
			g.cfg.IKE = ikeProposals(t, defaultIKE+"-ke1_ecp256")
			g.cfg.ESP = espProposals(t, "aes128gcm16-curve25519-ke1_ecp256-noesn")
			if random {
				g.cfg.Rand = nil
			}
		}
		l.a.cfg.IKE = ikeProposals(t, "aes128gcm16-prfsha256-ecp384-ke1_ecp256", defaultIKE+"-ke1_ecp256") // the wrong group first
		keys, nonces, spis := census{}, census{}, census{}
		for _, g := range []*gateway{l.a, l.b, l.a} {
			l.initiate(g)
			l.publicValues(t, keys, nonces, spis)
			l.paired()
			for _, who := range []*gateway{l.a, l.b} {
				for _, cmd := range []session.Command{session.Rekey{}, session.Rekey{IKE: true}, session.Rekey{}} {
					l.do(who, cmd)
					l.publicValues(t, keys, nonces, spis)
					l.paired()
				}
			}
			l.do(g, session.Close{})
			l.publicValues(t, keys, nonces, spis)
			l.wait(time.Minute, l.settle)
			l.mustBeGone()
		}
		// Each IKE SA from scratch has 2 of IKE_SA_INIT and 2 of IKE_INTERMEDIATE, each of the 6 rekeys 2 of CREATE_CHILD_SA and
		// 2 of IKE_FOLLOWUP_KE; and a has one more with the wrong group, in 2 of IKE_SA_INIT and 3 rekeys of the IKE SA.
		if want := 3*(2+2+6*4) + 2 + 3; len(keys) != want {
			t.Errorf("%d public values, want %d", len(keys), want)
		}
		if len(nonces) < 3*7*2 || len(spis) < 3*7*2 {
			t.Errorf("%d nonces and %d SPIs", len(nonces), len(spis))
		}
	}
}

// TestSPIsComeFromTheSource is CRY-12: an IKE SPI is drawn whole from the source of randomness, is never 0, and without a
// source of our own that is crypto/rand, which ends the program rather than fail.
func TestSPIsComeFromTheSource(t *testing.T) {
	p := &peer{cfg: Config{Rand: &steps{{0, 0, 0, 0, 0, 0, 0, 0}, {1, 2, 3, 4, 5, 6, 7, 8}}}}
	if got := p.newIKESPI(); got != 0x0102030405060708 {
		t.Errorf("the SPI is %016x", got)
	}
	p = &peer{}
	seen := map[uint64]bool{}
	var ones [64]int
	for range 1000 {
		spi := p.newIKESPI()
		seen[spi] = true
		for bit := range ones {
			ones[bit] += int(spi >> bit & 1)
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d different SPIs of 1000", len(seen))
	}
	for bit, n := range ones { // twelve standard deviations
		if n < 310 || n > 690 {
			t.Errorf("bit %d is set in %d of 1000 SPIs", bit, n)
		}
	}
}

// steps gives one entry for each read.
type steps [][]byte

func (s *steps) Read(b []byte) (int, error) {
	n := copy(b, (*s)[0])
	*s = (*s)[1:]
	return n, nil
}
