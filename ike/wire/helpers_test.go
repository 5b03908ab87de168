package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// captured returns the messages under testdata/strongswan by name, "init-request".
func captured(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/strongswan/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captured messages: %v", err)
	}
	all := make(map[string][]byte)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var digits strings.Builder
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "#") {
				digits.WriteString(strings.TrimSpace(line))
			}
		}
		if all[strings.TrimSuffix(filepath.Base(f), ".hex")], err = hex.DecodeString(digits.String()); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
	}
	return all
}

// raw is one payload as bytes: generic header for the given next, body as it stands.
func raw(next PayloadType, flags byte, body ...byte) []byte {
	n := genericLen + len(body)
	return append([]byte{byte(next), flags, byte(n >> 8), byte(n)}, body...)
}

// refused checks that the chain gives an *Error and nothing else.
func refused(t *testing.T, what string, first PayloadType, chain []byte) {
	t.Helper()
	ps, err := ParsePayloads(first, chain)
	var e *Error
	if !errors.As(err, &e) || ps != nil {
		t.Errorf("%s: got %q and error %v, want no payloads and an *Error", what, Describe(ps), err)
	}
}

// one parses a chain of a single payload that must be right.
func one[P Payload](t *testing.T, first PayloadType, chain []byte) P {
	t.Helper()
	ps, err := ParsePayloads(first, chain)
	if err != nil || len(ps) != 1 {
		t.Fatalf("%v payload: got %d payloads, error %v, want one", first, len(ps), err)
	}
	return ps[0].(P)
}

// body is how p is written, without its generic header.
func body(p Payload) []byte { return p.appendBody(nil) }

// A source makes random values that can be written and read.
type source struct{ *rand.Rand }

func newSource(seed byte) source {
	return source{rand.New(rand.NewChaCha8([32]byte(bytes.Repeat([]byte{seed}, 32))))}
}

func (r source) octets(low, high int) []byte {
	n := low + r.IntN(high-low+1)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (r source) transform() Transform {
	t := Transform{Type: TransformType(r.Uint32()), ID: uint16(r.Uint32()), Bad: r.IntN(4) == 0}
	if r.IntN(2) == 0 {
		t.KeyBits = uint16(1 + r.IntN(0xffff))
	}
	return t
}

func (r source) proposal() Proposal {
	p := Proposal{Number: uint8(r.Uint32()), Protocol: ProtocolID(r.Uint32()), SPI: r.octets(0, 20)}
	for range r.IntN(6) {
		p.Transforms = append(p.Transforms, r.transform())
	}
	return p
}

func (r source) selector() TrafficSelector {
	n := 4
	if r.IntN(2) == 0 {
		n = 16
	}
	from, _ := netip.AddrFromSlice(r.octets(n, n))
	to, _ := netip.AddrFromSlice(r.octets(n, n))
	if from.Compare(to) > 0 {
		from, to = to, from
	}
	s := TrafficSelector{Proto: uint8(r.Uint32()), FromPort: 0xffff, From: from, To: to}
	if r.IntN(4) > 0 {
		s.FromPort = uint16(r.Uint32())
		s.ToPort = s.FromPort + uint16(r.IntN(0x10000-int(s.FromPort)))
	}
	return s
}

// payload returns a random one of each kind that has a body of its own, by turns.
func (r source) payload(turn int) Payload {
	switch turn % 15 {
	case 0:
		sa := &SA{Proposals: []Proposal{r.proposal()}}
		for range r.IntN(4) {
			sa.Proposals = append(sa.Proposals, r.proposal())
		}
		return sa
	case 1:
		return &KE{Group: uint16(r.Uint32()), Data: r.octets(0, 300)}
	case 2, 3:
		return &ID{Initiator: turn%15 == 2, Kind: IDType(r.Uint32()), Data: r.octets(0, 60), reserved: [3]byte(r.octets(3, 3))}
	case 4:
		return &Cert{Encoding: CertEncoding(r.Uint32()), Data: r.octets(0, 900)}
	case 5:
		return &CertReq{Encoding: CertEncoding(r.Uint32()), Authorities: r.octets(0, 60)}
	case 6:
		return &Auth{Method: AuthMethod(r.Uint32()), Data: r.octets(0, 256)}
	case 7:
		return &Nonce{Data: r.octets(MinNonce, MaxNonce)}
	case 8:
		return &Notify{Protocol: ProtocolID(r.Uint32()), SPI: r.octets(0, 255), Kind: NotifyType(r.Uint32()), Data: r.octets(0, 60)}
	case 9:
		return &Delete{Protocol: ProtoIKE}
	case 10:
		d := &Delete{Protocol: ProtoESP}
		for range r.IntN(6) {
			d.SPIs = append(d.SPIs, r.Uint32())
		}
		return d
	case 11:
		return &VendorID{Data: r.octets(0, 40)}
	case 12, 13:
		ts := &TS{Initiator: turn%15 == 12}
		for range r.IntN(6) {
			ts.Selectors = append(ts.Selectors, r.selector())
		}
		return ts
	}
	return &Unknown{Kind: PayloadType(60 + r.IntN(196)), Data: r.octets(0, 40)}
}
