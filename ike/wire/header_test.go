package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

func TestHeaderIsReadAsWritten(t *testing.T) {
	h := Header{SPIi: 0x0102030405060708, SPIr: 0x1112131415161718, Next: TypeSA, Version: V2, Exchange: IKEAuth,
		Flags: FlagInitiator | FlagResponse, MessageID: 0x21222324, Length: HeaderLen}
	want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		33, 0x20, 35, 0x28, 0x21, 0x22, 0x23, 0x24, 0, 0, 0, 28}
	b := h.Append([]byte("before"))
	if !bytes.Equal(b, append([]byte("before"), want...)) {
		t.Fatalf("written %x, want %x", b, want)
	}
	got, err := ParseHeader(want)
	if err != nil || got != h {
		t.Errorf("read %+v, %v, want %+v", got, err, h)
	}
	if !got.Initiator() || !got.Response() || (Header{Flags: FlagVersion}).Initiator() {
		t.Error("flags are not what the header says")
	}
}

func TestHeaderRefusesDatagramsTooShort(t *testing.T) { // MAL-01
	for n := range HeaderLen {
		b := make([]byte, n)
		if n > 24 {
			b[n-1] = byte(n)
		}
		var e *Error
		if h, err := ParseHeader(b); !errors.As(err, &e) || h != (Header{}) {
			t.Errorf("%d octets: got %+v, error %v, want an *Error", n, h, err)
		}
	}
}

func TestHeaderLengthMustBeThatOfTheDatagram(t *testing.T) { // MAL-02
	for _, size := range []int{28, 29, 40, 100, MaxMessage} {
		for _, says := range []uint32{0, 27, 28, uint32(size) - 1, uint32(size), uint32(size) + 1, uint32(size) << 16, 0xffffffff} {
			b := make([]byte, size)
			binary.BigEndian.PutUint32(b[24:], says)
			_, err := ParseHeader(b)
			if ok := err == nil; ok != (says == uint32(size)) {
				t.Errorf("length %d in a datagram of %d: error %v", says, size, err)
			}
		}
	}
	b := make([]byte, MaxMessage+1)
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	if _, err := ParseHeader(b); err == nil {
		t.Errorf("%d octets accepted, %d are the limit", len(b), MaxMessage)
	}
}

func TestHeaderIgnoresVersionAndReservedBits(t *testing.T) { // RFC 7296 §3.1: version.go of ike judges the version
	b := (Header{Version: 0xf7, Flags: 0xff, Length: HeaderLen}).Append(nil)
	h, err := ParseHeader(b)
	if err != nil || h.Version.Major() != 15 || h.Flags != 0xff {
		t.Errorf("got %+v, %v, want version and flags as received", h, err)
	}
	m, err := ParseMessage(b)
	if err != nil || len(m.Payloads) != 0 {
		t.Errorf("header alone: got %+v, %v, want a message without payloads", m, err)
	}
}
