package ike

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/netip"
	"time"

	"twinbore/ike/wire"
)

// cookieLife is how long one secret makes cookies; a cookie is good for that time to twice as long.
const cookieLife = 120 * time.Second

// cookieLen is the octets of a cookie: which secret, and a MAC cut to 128 bits. A peer may be asked to
// return 1 to 64 (RFC 7296 §2.6).
const cookieLen = 1 + 16

// cookies makes and checks cookies without remembering any (RFC 7296 §2.6). Its owner is the demultiplexer.
//
//	cookie = number of the secret | HMAC-SHA256(secret, SPIi | length of Ni | Ni | remote address), first 16 octets
//
// The address is covered without its port: what the cookie shows is that the address receives, and a NAT that is
// short of ports may give the second request another one.
type cookies struct {
	rand   io.Reader
	number byte
	since  time.Time // when now was drawn; zero: there is none yet
	now    [32]byte
	before [32]byte // the secret before it, for cookies on their way when the secret changed
}

// turn changes the secret when its time is over. The first call draws both, so that before is never a known value.
func (c *cookies) turn(now time.Time) error {
	age := now.Sub(c.since)
	if !c.since.IsZero() && age < cookieLife {
		return nil
	}
	var fresh, before [32]byte
	if _, err := io.ReadFull(c.rand, fresh[:]); err != nil {
		return err
	}
	if before = c.now; c.since.IsZero() || age >= 2*cookieLife {
		if _, err := io.ReadFull(c.rand, before[:]); err != nil {
			return err
		}
	}
	c.now, c.before, c.since = fresh, before, now
	c.number++
	return nil
}

// answer returns the cookie that m's sender must return.
func (c *cookies) answer(now time.Time, m *wire.Message, from netip.Addr) ([]byte, error) {
	if err := c.turn(now); err != nil {
		return nil, err
	}
	return mac(&c.now, c.number, m, from), nil
}

// returned reports whether m, an IKE_SA_INIT request, begins with a cookie that was made for it. One that is wrong, too
// old or not the first payload counts as none.
func (c *cookies) returned(now time.Time, m *wire.Message, from netip.Addr) bool {
	if len(m.Payloads) == 0 || c.turn(now) != nil {
		return false
	}
	n, ok := m.Payloads[0].(*wire.Notify)
	if !ok || n.Kind != wire.NotifyCookie || len(n.SPI) != 0 || len(n.Data) != cookieLen {
		return false
	}
	secret := &c.now
	switch n.Data[0] {
	case c.number:
	case c.number - 1:
		secret = &c.before
	default:
		return false
	}
	return hmac.Equal(n.Data, mac(secret, n.Data[0], m, from))
}

func mac(secret *[32]byte, number byte, m *wire.Message, from netip.Addr) []byte {
	h := hmac.New(sha256.New, secret[:])
	var fixed [10]byte
	nonce := nonceOf(m)
	binary.BigEndian.PutUint64(fixed[:], m.Header.SPIi)
	binary.BigEndian.PutUint16(fixed[8:], uint16(len(nonce)))
	h.Write(fixed[:])
	h.Write(nonce)
	h.Write(from.Unmap().AsSlice())
	return h.Sum([]byte{number})[:cookieLen]
}

// nonceOf returns the first nonce of m, or nil.
func nonceOf(m *wire.Message) []byte {
	for _, p := range m.Payloads {
		if n, ok := p.(*wire.Nonce); ok {
			return n.Data
		}
	}
	return nil
}
