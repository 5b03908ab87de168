package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// Three ways in for bytes from the network. Each target checks that faults are of the two types, and that what was
// read can be written and then reads the same.

func FuzzMessage(f *testing.F) {
	for _, b := range captured(f) {
		f.Add(b)
	}
	r := newSource(20)
	for turn := range 30 {
		f.Add((&Message{Header: Header{Version: V2, Exchange: IKESAInit}, Payloads: []Payload{r.payload(turn), r.payload(turn + 1)}}).Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMessage(b)
		if err != nil {
			checkFault(t, err)
			return
		}
		checkPayloads(t, m.Payloads)
		again, err := ParseMessage(m.Marshal())
		if err != nil {
			t.Fatalf("%s: written again is refused: %v", Describe(m.Payloads), err)
		}
		m.Header.Length = again.Header.Length // reserved octets and unknown attributes may have gone
		if again.Header != m.Header {
			t.Errorf("header %+v reads %+v when written again", m.Header, again.Header)
		}
		checkEqual(t, m.Payloads, again.Payloads)
	})
}

func FuzzPayloads(f *testing.F) {
	r := newSource(21)
	for turn := range 30 {
		ps := []Payload{r.payload(turn), r.payload(turn + 7)}
		f.Add(byte(FirstType(ps)), AppendPayloads(nil, ps))
	}
	f.Add(byte(TypeIDi), AppendPayloads(nil, []Payload{ // an IKE_AUTH request with a PSK
		&ID{Initiator: true, Kind: IDFQDN, Data: []byte("a.example")}, &ID{Kind: IDFQDN, Data: []byte("b.example")},
		&Auth{Method: AuthSharedKey, Data: make([]byte, 48)}, offered(), r.payload(12), r.payload(13), &Notify{Kind: NotifyInitialContact}}))
	f.Add(byte(None), []byte{})
	f.Fuzz(func(t *testing.T, first byte, b []byte) {
		ps, err := ParsePayloads(PayloadType(first), b)
		if err != nil {
			checkFault(t, err)
			return
		}
		checkPayloads(t, ps)
		again, err := ParsePayloads(FirstType(ps), AppendPayloads(nil, ps))
		if err != nil {
			t.Fatalf("%s: written again is refused: %v", Describe(ps), err)
		}
		checkEqual(t, ps, again)
	})
}

func FuzzEnvelope(f *testing.F) {
	for _, b := range captured(f) {
		f.Add(b)
	}
	f.Add(sealed([]Payload{&VendorID{Data: []byte("v")}}, TypeSK, TypeNotify, make([]byte, 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			checkFault(t, err)
			return
		}
		e, err := FindEnvelope(b, h)
		if err != nil {
			checkFault(t, err)
			return
		}
		if e.AADLen+len(e.Body) != len(b) || !bytes.Equal(b[e.AADLen:], e.Body) {
			t.Fatalf("AADLen %d and a body of %d octets in a message of %d", e.AADLen, len(e.Body), len(b))
		}
		checkPayloads(t, e.Clear)
		if iv, text, err := e.Cut(16, 12); err == nil && len(iv)+len(text) != len(e.Body) {
			t.Errorf("cut into %d and %d octets of %d", len(iv), len(text), len(e.Body))
		}
		if plain, err := UnpadSK(e.Body); err == nil && len(plain) >= len(e.Body) {
			t.Errorf("%d octets are left of %d", len(plain), len(e.Body))
		}
		if len(e.Clear) > 0 {
			return // we send none
		}
		msg, _ := BeginSK(h, e.Inner, 0, len(e.Body))
		if e.Kind == TypeSKF {
			msg, _ = BeginSKF(h, e.Inner, e.Fragment, e.Total, 0, len(e.Body))
		}
		again, err := find(append(msg, e.Body...))
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("written again: %+v, %v\nwas %+v", again, err, e)
		}
	})
}

func checkFault(t *testing.T, err error) {
	t.Helper()
	var fault *Error
	var critical *CriticalError
	if !errors.As(err, &fault) && !errors.As(err, &critical) || len(err.Error()) > 200 {
		t.Fatalf("fault of an unexpected kind: %T %v", err, err)
	}
}

func checkPayloads(t *testing.T, ps []Payload) {
	t.Helper()
	if len(ps) > MaxPayloads {
		t.Fatalf("%d payloads", len(ps))
	}
	Describe(ps)
	for _, p := range ps {
		if u, ok := p.(*Unknown); ok && u.Critical {
			t.Fatalf("critical payload of type %d was let through", u.Kind)
		}
	}
}

// checkEqual forgives only selectors of unknown types: they are not written.
func checkEqual(t *testing.T, a, b []Payload) {
	t.Helper()
	for _, p := range a {
		if ts, ok := p.(*TS); ok {
			ts.Unknown = 0
		}
	}
	if len(a) != len(b) || len(a) > 0 && !reflect.DeepEqual(a, b) {
		t.Errorf("read %s, written again it reads %s, or they differ inside", Describe(a), Describe(b))
	}
}
