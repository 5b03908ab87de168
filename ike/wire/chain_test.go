package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func TestPayloadsAreReadAsWritten(t *testing.T) {
	r := newSource(1)
	for turn := range 15 * 100 {
		want := []Payload{r.payload(turn)}
		b := AppendPayloads(nil, want)
		got, err := ParsePayloads(FirstType(want), b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("turn %d: wrote %+v\nread %+v, error %v", turn, want[0], got, err)
		}
		if again := AppendPayloads(nil, got); !bytes.Equal(again, b) {
			t.Fatalf("turn %d: %v payload written again differs:\n%x\n%x", turn, FirstType(want), b, again)
		}
	}
}

func TestChainsAreReadInAnyOrderAndDoubled(t *testing.T) { // N-01, RFC 7296 §2.5; doubles are the caller's business
	r := newSource(2)
	for range 200 {
		var want []Payload
		for range r.IntN(MaxPayloads + 1) {
			want = append(want, r.payload(r.IntN(15)))
			if r.IntN(3) == 0 && len(want) < MaxPayloads {
				want = append(want, want[len(want)-1])
			}
		}
		want = want[:min(len(want), MaxPayloads)]
		if got, err := ParsePayloads(FirstType(want), AppendPayloads(nil, want)); err != nil || len(got) != len(want) ||
			len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("wrote %q\nread %q, error %v", Describe(want), Describe(got), err)
		}
	}
}

func TestEveryPrefixOfAChainIsRefused(t *testing.T) {
	r := newSource(3)
	for turn := range 15 * 4 {
		ps := []Payload{r.payload(turn), r.payload(turn + 1)}
		b := AppendPayloads(nil, ps)
		for n := range b {
			refused(t, fmt.Sprintf("%s cut to %d of %d octets", Describe(ps), n, len(b)), FirstType(ps), b[:n:n])
		}
	}
}

// TestEveryPrefixOfABodyIsRefused cuts the body and makes the payload length agree, so that only the body itself can
// tell. Bodies that end with octets of any length are complete from a certain length on.
func TestEveryPrefixOfABodyIsRefused(t *testing.T) {
	selector := newSource(4).selector()
	for _, c := range []struct {
		p        Payload
		complete int // octets; -1: only the whole
	}{
		{&SA{Proposals: []Proposal{{Number: 1, Protocol: ProtoESP, SPI: []byte{1, 2, 3, 4}, Transforms: []Transform{
			{Type: TransformENCR, ID: 12, KeyBits: 256}, {Type: TransformINTEG, ID: 12}}}, {Number: 2}}}, -1},
		{&KE{Group: 31, Data: make([]byte, 32)}, 4},
		{&ID{Kind: IDFQDN, Data: []byte("gw.example")}, 4},
		{&Cert{Encoding: CertX509Signature, Data: []byte("der")}, 1},
		{&CertReq{Encoding: CertX509Signature, Authorities: make([]byte, 20)}, 1},
		{&Auth{Method: AuthSharedKey, Data: make([]byte, 32)}, 4},
		{&Nonce{Data: make([]byte, 32)}, 16},
		{&Notify{Protocol: ProtoESP, SPI: []byte{1, 2, 3, 4}, Kind: NotifyRekeySA, Data: []byte{5}}, 8},
		{&Delete{Protocol: ProtoESP, SPIs: []uint32{1, 2, 3}}, -1},
		{&TS{Selectors: []TrafficSelector{selector, selector}}, -1},
	} {
		whole := body(c.p)
		if c.complete < 0 {
			c.complete = len(whole)
		}
		for n := range whole {
			chain := raw(None, 0, whole[:n]...)
			if n < c.complete {
				refused(t, fmt.Sprintf("%v body cut to %d of %d octets", c.p.Type(), n, len(whole)), c.p.Type(), chain)
			} else if _, err := ParsePayloads(c.p.Type(), chain); err != nil {
				t.Errorf("%v body of %d octets, complete from %d: %v", c.p.Type(), n, c.complete, err)
			}
		}
	}
}

func TestBodiesOfFixedFormRefuseOctetsTooMany(t *testing.T) {
	for _, p := range []Payload{
		&SA{Proposals: []Proposal{{Number: 1}}}, &Delete{Protocol: ProtoESP, SPIs: []uint32{1}}, &Delete{Protocol: ProtoIKE},
		&TS{Selectors: []TrafficSelector{newSource(5).selector()}}, &TS{},
	} {
		for extra := 1; extra < 20; extra++ {
			refused(t, fmt.Sprintf("%v with %d octets too many", p.Type(), extra), p.Type(),
				raw(None, 0, append(body(p), make([]byte, extra)...)...))
		}
	}
}

func TestPayloadLengthsThatDoNotFitAreRefused(t *testing.T) { // MAL-05
	for _, n := range []byte{0, 1, 2, 3, 9, 255} {
		chain := []byte{0, 0, 0, n, 1, 2, 3, 4} // 8 octets
		refused(t, fmt.Sprintf("vendor ID of length %d in 8 octets", n), TypeVendorID, chain)
		refused(t, fmt.Sprintf("unknown payload of length %d in 8 octets", n), 200, chain)
	}
	refused(t, "trailing octet", TypeVendorID, append(raw(None, 0, 1, 2), 0))
	refused(t, "octets after a chain of none", None, []byte{0})
	refused(t, "payload announced and not there", TypeVendorID, nil)
}

func TestManyPayloadsAreRefusedBeforeTheyAreStored(t *testing.T) { // MAL-05, CVE-2026-12413
	for _, n := range []int{29, 30, 31, 64, 65, 5000, 16000} {
		var chain []byte
		for i := range n {
			next := PayloadType(200)
			if i == n-1 {
				next = None
			}
			chain = append(chain, raw(next, 0)...)
		}
		m := (Header{Next: 200, Version: V2, Length: uint32(HeaderLen + len(chain))}).Append(nil)
		m = append(m, chain...)
		clear, clearErr := ParseMessage(m)
		inside, insideErr := ParsePayloads(200, chain)
		if n <= MaxPayloads {
			if clearErr != nil || insideErr != nil || len(clear.Payloads) != n || len(inside) != n {
				t.Errorf("%d unknown payloads: errors %v and %v, want them all", n, clearErr, insideErr)
			}
			continue
		}
		var e *Error
		if !errors.As(clearErr, &e) || !errors.As(insideErr, &e) || inside != nil || clear != nil {
			t.Errorf("%d unknown payloads: errors %v and %v, want *Error", n, clearErr, insideErr)
		}
		if used := allocated(func() { ParsePayloads(200, chain) }); used > 16<<10 {
			t.Errorf("%d unknown payloads: %d octets allocated before the refusal, want under 16 kB", n, used)
		}
	}
	refused(t, "more octets than a message can have", TypeVendorID, append(raw(None, 0, make([]byte, 65531)...), 0))
}

func TestUnknownPayloads(t *testing.T) { // MAL-06, N-02, RFC 7296 §2.5
	nonce := raw(None, 0, make([]byte, 16)...)
	ps, err := ParsePayloads(200, append(raw(TypeNonce, 0, 7, 7), nonce...))
	if err != nil || !reflect.DeepEqual(ps, []Payload{&Unknown{Kind: 200, Data: []byte{7, 7}}, &Nonce{Data: make([]byte, 16)}}) {
		t.Errorf("not critical: got %q, %v, want it kept as unknown", Describe(ps), err)
	}
	ps, err = ParsePayloads(200, append(raw(TypeNonce, 0x7f), nonce...)) // all reserved bits, not critical
	if err != nil || len(ps) != 2 {
		t.Errorf("reserved bits set: got %q, %v, want them ignored", Describe(ps), err)
	}

	ps, err = ParsePayloads(200, append(raw(201, criticalBit), append(raw(TypeNonce, criticalBit), nonce...)...))
	var critical *CriticalError
	if !errors.As(err, &critical) || critical.Type != 200 || !errors.Is(err, ErrUnsupportedCritical) || ps != nil {
		t.Errorf("critical: got %q, %v, want a CriticalError for the first, type 200", Describe(ps), err)
	}
	refused(t, "critical, and the chain is broken after it", 200, append(raw(TypeNonce, criticalBit), nonce[:10]...))
	refused(t, "critical, and a body is malformed after it", 200, append(raw(TypeNonce, criticalBit), raw(None, 0, 1)...))
}

func TestCriticalBitOfKnownTypesIsIgnored(t *testing.T) { // MAL-06, RFC 7296 §3.2
	r := newSource(6)
	for turn := range 14 {
		p := r.payload(turn)
		ps, err := ParsePayloads(p.Type(), raw(None, criticalBit, body(p)...))
		if err != nil || !reflect.DeepEqual(ps, []Payload{p}) {
			t.Errorf("critical %v: got %+v, error %v, want %+v", p.Type(), ps, err, p)
		}
	}
	for _, kind := range []PayloadType{TypeCP, TypeEAP} {
		got := one[*Unknown](t, kind, raw(None, criticalBit, 1))
		if want := (Unknown{Kind: kind, Data: []byte{1}}); !reflect.DeepEqual(*got, want) {
			t.Errorf("critical %v: got %+v, want %+v", kind, *got, want)
		}
	}
}

func TestTypesOfTheOtherVersionAreUnknown(t *testing.T) { // MAL-07, CVE-2015-3991, CVE-2015-3204
	known := []PayloadType{None, TypeSA, TypeKE, TypeIDi, TypeIDr, TypeCert, TypeCertReq, TypeAuth, TypeNonce, TypeNotify,
		TypeDelete, TypeVendorID, TypeTSi, TypeTSr, TypeSK, TypeSKF}
	for n := range 256 {
		kind := PayloadType(n) // 1..32 are IKEv1's, 130 and 131 draft NAT-D, 132 a fragment
		if slices.Contains(known, kind) {
			continue
		}
		got := one[*Unknown](t, kind, raw(None, 0, 0xff, 0xff))
		if got.Kind != kind || got.Type() != kind {
			t.Errorf("type %d came back as %d", kind, got.Kind)
		}
		_, err := ParsePayloads(kind, raw(None, criticalBit))
		if wantCritical := kind != TypeCP && kind != TypeEAP; errors.Is(err, ErrUnsupportedCritical) != wantCritical {
			t.Errorf("critical type %d: error %v", kind, err)
		}
	}
}

func TestUnknownCriticalIsWrittenAsSuch(t *testing.T) {
	b := AppendPayloads(nil, []Payload{&Unknown{Kind: 200, Critical: true, Data: []byte{9}}})
	if want := raw(None, criticalBit, 9); !bytes.Equal(b, want) {
		t.Errorf("wrote %x, want %x", b, want)
	}
}

func TestResultsShareNoMemoryWithTheMessage(t *testing.T) {
	r := newSource(7)
	for turn := range 15 * 5 {
		want := []Payload{r.payload(turn)}
		b := AppendPayloads(nil, want)
		got, err := ParsePayloads(FirstType(want), b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v payload changed with the buffer it came from", want[0].Type())
		}
	}
}

func TestPayloadTooLongToWriteIsABug(t *testing.T) {
	for what, p := range map[string]Payload{
		"body":       &VendorID{Data: make([]byte, 65532)},
		"SPI":        &Notify{SPI: make([]byte, 256)},
		"transforms": &SA{Proposals: []Proposal{{Transforms: make([]Transform, 256)}}},
		"selectors":  &TS{Selectors: slices.Repeat([]TrafficSelector{newSource(8).selector()}, 256)},
		"addresses":  &TS{Selectors: make([]TrafficSelector, 1)},
		"SPIs":       &Delete{Protocol: ProtoESP, SPIs: make([]uint32, MaxDeleteSPIs+1)},
		"IKE SPI":    &Delete{Protocol: ProtoIKE, SPIs: make([]uint32, 1)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: written although the format cannot hold it", what)
				}
			}()
			AppendPayloads(nil, []Payload{p})
		}()
	}
}
