package wire

import (
	"encoding/binary"
	"fmt"
)

// A cursor reads octets from the front of what is left to it. It is the only place that does arithmetic with lengths
// from the network. The first failure sticks, to it and to every cursor cut from it, and from then on all of them are
// empty and read zeros: a parser may run to its end and ask once.
type cursor struct {
	data  []byte
	at    int    // of data[0], octets from the start of what is parsed
	fault *Error // shared; no fault while Field is empty
}

func newCursor(b []byte, at int) cursor { return cursor{data: b, at: at, fault: new(Error)} }

// err returns the first fault of c or of any cursor that shares with it.
func (c *cursor) err() error {
	if c.failed() {
		return c.fault
	}
	return nil
}

func (c *cursor) failed() bool { return c.fault.Field != "" }

// left is how many octets can still be read; 0 after a fault, so that loops end.
func (c *cursor) left() int {
	if c.failed() {
		return 0
	}
	return len(c.data)
}

// fail records a fault at the current octet.
func (c *cursor) fail(field, format string, args ...any) {
	if !c.failed() {
		*c.fault = Error{Offset: c.at, Field: field, What: fmt.Sprintf(format, args...)}
	}
}

// view takes n octets without copying; nil after a fault.
func (c *cursor) view(n int, field string) []byte {
	switch {
	case c.failed():
		return nil
	case n < 0:
		c.fail(field, "length is %d octets too small", -n)
		return nil
	case n > len(c.data):
		c.fail(field, "needs %d octets, %d are left", n, len(c.data))
		return nil
	}
	v := c.data[:n:n]
	c.data, c.at = c.data[n:], c.at+n
	return v
}

// clone takes n octets and copies them; none are nil.
func (c *cursor) clone(n int, field string) []byte { return append([]byte(nil), c.view(n, field)...) }

// rest copies all that is left; none are nil.
func (c *cursor) rest(field string) []byte { return c.clone(c.left(), field) }

func (c *cursor) skip(n int, field string) { c.view(n, field) }

// sub cuts off the next n octets as a cursor of their own.
func (c *cursor) sub(n int, field string) cursor {
	at := c.at
	return cursor{data: c.view(n, field), at: at, fault: c.fault}
}

func (c *cursor) u8(field string) uint8 {
	if v := c.view(1, field); v != nil {
		return v[0]
	}
	return 0
}

func (c *cursor) u16(field string) uint16 {
	if v := c.view(2, field); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) u32(field string) uint32 {
	if v := c.view(4, field); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (c *cursor) u64(field string) uint64 {
	if v := c.view(8, field); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// end fails when octets are left over.
func (c *cursor) end(field string) {
	if n := c.left(); n > 0 {
		c.fail(field, "%d octets too many", n)
	}
}
