package wire

import (
	"bytes"
	"fmt"
	"testing"
)

func TestFragmentHeader(t *testing.T) { // MAL-20, header checks; RFC 7383 §2.5
	fragment := func(number, total uint16, inner PayloadType) []byte {
		return sealed(nil, TypeSKF, inner, append([]byte{byte(number >> 8), byte(number), byte(total >> 8), byte(total)}, make([]byte, 40)...))
	}
	for _, c := range []struct {
		number, total uint16
		inner         PayloadType
		ok            bool
	}{
		{1, 1, TypeIDi, true}, {1, 2, TypeIDi, true}, {2, 2, None, true}, {64, 64, None, true},
		{1, 65535, TypeIDi, true}, {65535, 65535, None, true}, // too many is for who collects them
		{0, 0, None, false}, {0, 1, None, false}, {0, 2, TypeIDi, false}, {1, 0, TypeIDi, false}, {3, 2, None, false},
		{65535, 65534, None, false}, {1, 2, None, false}, {2, 2, TypeIDi, false},
	} {
		b := fragment(c.number, c.total, c.inner)
		if !c.ok {
			notFound(t, fmt.Sprintf("fragment %d of %d, next %v", c.number, c.total, c.inner), b)
			continue
		}
		e, err := find(b)
		if err != nil || e.Fragment != c.number || e.Total != c.total || e.Inner != c.inner || e.AADLen != 36 || len(e.Body) != 40 {
			t.Errorf("fragment %d of %d: got %+v, %v", c.number, c.total, e, err)
		}
	}
	for n := range 4 {
		notFound(t, fmt.Sprintf("SKF of %d octets", n), sealed(nil, TypeSKF, TypeIDi, make([]byte, n)))
	}
}

func TestBeginSKFMakesWhatFindEnvelopeFinds(t *testing.T) {
	h := Header{SPIi: 1, SPIr: 2, Version: V2, Exchange: IKEAuth, Flags: FlagInitiator, MessageID: 1}
	for number := uint16(1); number <= 3; number++ {
		msg, aadLen := BeginSKF(h, TypeIDi, number, 3, 8, 30)
		msg = append(msg, make([]byte, 38)...)
		e, err := find(msg)
		if err != nil || e.Kind != TypeSKF || e.Fragment != number || e.Total != 3 || e.AADLen != aadLen || len(e.Body) != 38 {
			t.Errorf("fragment %d: got %+v, %v", number, e, err)
		}
		if (e.Inner == TypeIDi) != (number == 1) {
			t.Errorf("fragment %d says %v is inside, only the first may", number, e.Inner)
		}
	}
}

func TestBeginSKFMakesWhatStrongSwanMade(t *testing.T) {
	for i, name := range []string{"auth-fragment-1", "auth-fragment-2"} {
		want := captured(t)[name]
		h, err := ParseHeader(want)
		if err != nil {
			t.Fatal(err)
		}
		msg, aadLen := BeginSKF(h, TypeIDi, uint16(i+1), 2, 8, len(want)-36-8)
		if !bytes.Equal(msg, want[:aadLen]) {
			t.Errorf("%s: got %x, want %x", name, msg, want[:aadLen])
		}
	}
}
