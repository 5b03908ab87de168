package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// sealed is a message whose encrypted payload has the given parts: what is before it, its type, what it says is
// inside, and everything after its generic header.
func sealed(before []Payload, kind, inner PayloadType, rest []byte) []byte {
	ps := append(before[:len(before):len(before)], &Unknown{Kind: kind, Data: rest})
	b := (&Message{Header: Header{SPIi: 1, SPIr: 2, Version: V2, Exchange: Informational, MessageID: 3}, Payloads: ps}).Marshal()
	b[len(b)-len(rest)-genericLen] = byte(inner)
	return b
}

func find(b []byte) (Envelope, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Envelope{}, err
	}
	return FindEnvelope(b, h)
}

func notFound(t *testing.T, what string, b []byte) {
	t.Helper()
	e, err := find(b)
	var fault *Error
	if !errors.As(err, &fault) || !reflect.DeepEqual(e, Envelope{}) {
		t.Errorf("%s: got %+v, error %v, want an *Error", what, e, err)
	}
}

func TestEnvelopeIsFound(t *testing.T) { // N-10, RFC 7296 §3.14
	before := []Payload{&Notify{Kind: NotifyCookie, Data: []byte("c")}, &Unknown{Kind: 200, Data: []byte{1}}}
	for _, clear := range [][]Payload{{}, before} {
		b := sealed(clear, TypeSK, TypeIDi, []byte("iv------ciphertext and tag"))
		e, err := find(b)
		want := Envelope{Kind: TypeSK, Inner: TypeIDi, Clear: clear, AADLen: len(b) - 26, Body: []byte("iv------ciphertext and tag")}
		if err != nil || !reflect.DeepEqual(e, want) {
			t.Errorf("got %+v, %v\nwant %+v", e, err, want)
		}
		if &e.Body[0] != &b[e.AADLen] {
			t.Error("Body is a copy, want a part of the message")
		}
	}
}

func TestEnvelopeOfCapturedMessages(t *testing.T) {
	for name, want := range map[string]Envelope{
		"auth-request":           {Kind: TypeSK, Inner: TypeIDi, AADLen: 32},
		"auth-fragment-1":        {Kind: TypeSKF, Inner: TypeIDi, AADLen: 36, Fragment: 1, Total: 2},
		"auth-fragment-2":        {Kind: TypeSKF, Inner: None, AADLen: 36, Fragment: 2, Total: 2},
		"informational-request":  {Kind: TypeSK, Inner: TypeDelete, AADLen: 32},
		"informational-response": {Kind: TypeSK, Inner: None, AADLen: 32},
	} {
		b := captured(t)[name]
		want.Clear, want.Body = []Payload{}, b[want.AADLen:]
		if e, err := find(b); err != nil || !reflect.DeepEqual(e, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, e, err, want)
		}
	}
}

func TestEnvelopeMissingMisplacedOrNested(t *testing.T) { // MAL-18, N-10
	nonce := &Nonce{Data: make([]byte, 16)}
	notFound(t, "no payload at all", (Header{Version: V2, Length: HeaderLen}).Append(nil))
	notFound(t, "no encrypted payload", (&Message{Payloads: []Payload{nonce}}).Marshal())
	notFound(t, "SK in SK", sealed(nil, TypeSK, TypeSK, make([]byte, 40)))
	notFound(t, "SKF in SK", sealed(nil, TypeSK, TypeSKF, make([]byte, 40)))
	notFound(t, "SK in SKF", sealed(nil, TypeSKF, TypeSK, append([]byte{0, 1, 0, 1}, make([]byte, 40)...)))
	notFound(t, "malformed payload before SK", sealed([]Payload{&Nonce{Data: make([]byte, 15)}}, TypeSK, None, make([]byte, 40)))

	last := sealed(nil, TypeSK, TypeNonce, make([]byte, 40))
	after := append(bytes.Clone(last), raw(None, 0, make([]byte, 16)...)...)
	notFound(t, "SK not last", setLength(after, len(after)))
	twice := AppendPayloads(last[:HeaderLen:HeaderLen], []Payload{&Unknown{Kind: TypeSK, Data: make([]byte, 40)}, &Unknown{Kind: TypeSK}})
	notFound(t, "SK twice", setLength(twice, len(twice)))

	if e, err := FindEnvelope(nil, Header{Next: TypeSK}); err == nil {
		t.Errorf("no message: got %+v", e)
	}
	var critical *CriticalError
	if _, err := find(sealed([]Payload{&Unknown{Kind: 200, Critical: true}}, TypeSK, None, make([]byte, 40))); !errors.As(err, &critical) {
		t.Errorf("unknown critical payload before SK: error %v, want a *CriticalError", err)
	}
	for n := range 80 {
		before := make([]Payload, n)
		for i := range before {
			before[i] = &VendorID{}
		}
		if _, err := find(sealed(before, TypeSK, None, make([]byte, 40))); (err == nil) != (n < MaxPayloads) {
			t.Errorf("%d payloads before SK: error %v", n, err)
		}
	}
}

func TestEncryptedPayloadIsNotAllowedInAClearChain(t *testing.T) { // MAL-18: not nested, and not in IKE_SA_INIT
	for _, kind := range []PayloadType{TypeSK, TypeSKF} {
		refused(t, "first in the chain", kind, raw(None, 0, make([]byte, 40)...))
		refused(t, "last in the chain", TypeVendorID, append(raw(kind, 0), raw(None, 0, make([]byte, 40)...)...))
		refused(t, "with something after it", kind, append(raw(TypeVendorID, 0, make([]byte, 40)...), raw(None, 0)...))
		if m, err := ParseMessage(sealed(nil, kind, None, make([]byte, 40))); err == nil {
			t.Errorf("clear message with %v: got %+v", kind, m)
		}
	}
}

func TestEnvelopeIsCutAtItsIV(t *testing.T) { // MAL-18: shorter than IV, pad length and ICV
	for n := range 40 {
		e, err := find(sealed(nil, TypeSK, None, make([]byte, n)))
		if err != nil {
			t.Fatal(err)
		}
		iv, text, err := e.Cut(8, 16)
		if n < 8+1+16 {
			var fault *Error
			if !errors.As(err, &fault) || iv != nil && text != nil {
				t.Errorf("%d octets: got %d and %d, error %v, want an *Error", n, len(iv), len(text), err)
			}
		} else if err != nil || len(iv) != 8 || len(text) != n-8 || &iv[0] != &e.Body[0] || &text[0] != &e.Body[8] {
			t.Errorf("%d octets: got %d and %d, error %v, want 8 and %d", n, len(iv), len(text), err, n-8)
		}
	}
}

func TestBeginSKMakesWhatFindEnvelopeFinds(t *testing.T) {
	h := Header{SPIi: 1, SPIr: 2, Version: V2, Exchange: IKEAuth, Flags: FlagInitiator, MessageID: 1}
	rest := []byte("8 octets of IV, 8 of ciphertext, 16 of ICV.")
	msg, aadLen := BeginSK(h, TypeIDi, 8, len(rest)-8)
	if len(msg) != aadLen || cap(msg) < aadLen+len(rest) {
		t.Errorf("%d octets, room for %d, aadLen %d; want len = aadLen, and room for %d", len(msg), cap(msg), aadLen, aadLen+len(rest))
	}
	msg = append(msg, rest...)
	e, err := find(msg)
	if err != nil || e.AADLen != aadLen || e.Inner != TypeIDi || e.Kind != TypeSK || !bytes.Equal(e.Body, rest) {
		t.Errorf("got %+v, %v", e, err)
	}
	if want := sealed(nil, TypeSK, TypeIDi, rest); !bytes.Equal(msg[HeaderLen:], want[HeaderLen:]) {
		t.Errorf("got %x\nwant %x", msg, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("a message over MaxMessage was begun")
		}
	}()
	BeginSK(h, TypeIDi, 8, MaxMessage)
}

func TestPadding(t *testing.T) { // RFC 7296 §3.14
	for _, block := range []int{1, 4, 16, 256} {
		for n := range 300 {
			plain := bytes.Repeat([]byte{0xee}, n)
			padded := PadSK(bytes.Clone(plain), block)
			if len(padded)%block != 0 || len(padded) <= n || len(padded) > n+block {
				t.Fatalf("%d octets to blocks of %d: %d", n, block, len(padded))
			}
			if got, err := UnpadSK(padded); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d octets to blocks of %d: got %d back, %v", n, block, len(got), err)
			}
		}
	}
	got, err := UnpadSK([]byte{1, 2, 0xaa, 0xbb, 2}) // N-10: any padding, whatever its octets and length
	if err != nil || !bytes.Equal(got, []byte{1, 2}) {
		t.Errorf("got %x, %v, want 0102", got, err)
	}
}

func TestPaddingThatDoesNotFitIsRefused(t *testing.T) { // MAL-18, free5GC #997
	for _, plain := range [][]byte{nil, {}, {1}, {255}, {0, 2}, {9, 9, 9, 4}, append(make([]byte, 200), 201)} {
		var e *Error
		if got, err := UnpadSK(plain); !errors.As(err, &e) || got != nil {
			t.Errorf("%s: got %x, error %v, want an *Error", fmt.Sprintf("%x", plain), got, err)
		}
	}
}
