package transport

import (
	"bytes"
	"testing"
)

func message(first ...byte) []byte { return append(first, make([]byte, 40-len(first))...) }

// MAL-01, MAL-03, ESP-05; RFC 3948 §2.
func TestClassify(t *testing.T) {
	ike := message(0x11, 0x22, 0x33, 0x44)
	marked := AddMarker(nil, ike)
	esp := message(0xc0, 0xff, 0xee, 0x01)
	tests := []struct {
		name    string
		natt    bool
		in      []byte
		kind    Kind
		payload []byte
	}{
		{"IKE on the IKE port", false, ike, IKE, ike},
		{"smallest IKE message on the IKE port", false, ike[:28], IKE, ike[:28]},
		{"27 octets on the IKE port", false, ike[:27], Malformed, nil},
		{"nothing on the IKE port", false, nil, Malformed, nil},
		{"what looks like ESP is IKE on the IKE port", false, esp, IKE, esp},
		{"short ESP on the IKE port is nothing", false, esp[:16], Malformed, nil},
		{"a keepalive on the IKE port is nothing", false, []byte{0xFF}, Malformed, nil},
		{"an SPI that begins with zeros needs no marker on the IKE port", false, message(0, 0, 0, 0, 1), IKE, message(0, 0, 0, 0, 1)},

		{"IKE behind the marker", true, marked, IKE, ike},
		{"smallest IKE message behind the marker", true, marked[:MarkerLen+28], IKE, ike[:28]},
		{"marker and 27 octets", true, marked[:MarkerLen+27], Malformed, nil},
		{"marker alone", true, marked[:4], Malformed, nil},
		{"keepalive", true, []byte{0xFF}, Keepalive, nil},
		{"one octet that is no keepalive", true, []byte{0x00}, Malformed, nil},
		{"one octet that is nearly a keepalive", true, []byte{0xFE}, Malformed, nil},
		{"two keepalive octets", true, []byte{0xFF, 0xFF}, Malformed, nil},
		{"three zeros", true, []byte{0, 0, 0}, Malformed, nil},
		{"nothing", true, nil, Malformed, nil},
		{"IKE that lacks the marker is taken for ESP", true, ike, ESP, ike},
		{"ESP", true, esp, ESP, esp},
		{"shortest ESP", true, esp[:8], ESP, esp[:8]},
		{"ESP without the whole sequence number", true, esp[:7], Malformed, nil},
		{"SPI 1 is reserved", true, message(0, 0, 0, 1), Malformed, nil},
		{"SPI 255 is reserved", true, message(0, 0, 0, 255), Malformed, nil},
		{"SPI 256 is the first", true, message(0, 0, 1, 0), ESP, message(0, 0, 1, 0)},
		{"keepalive octets in an SPI", true, message(0xFF, 0xFF, 0xFF, 0xFF), ESP, message(0xFF, 0xFF, 0xFF, 0xFF)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kind, payload := Classify(tt.natt, tt.in)
			if kind != tt.kind || !bytes.Equal(payload, tt.payload) {
				t.Errorf("Classify(%v, %x) = %v, %x; want %v, %x", tt.natt, tt.in, kind, payload, tt.kind, tt.payload)
			}
		})
	}
}

func TestAddMarkerKeepsWhatIsThere(t *testing.T) {
	got := AddMarker([]byte{7}, []byte{1, 2})
	if want := []byte{7, 0, 0, 0, 0, 1, 2}; !bytes.Equal(got, want) {
		t.Errorf("AddMarker = %v, want %v", got, want)
	}
}

// Whatever arrives has one kind, what is handed on is a part of it, and each reader gets what it counts on:
// a whole IKE header, or an SPI that can exist and a sequence number.
func FuzzClassify(f *testing.F) {
	f.Add(false, []byte{})
	f.Add(true, []byte{0xFF})
	f.Add(true, AddMarker(nil, message(1)))
	f.Add(false, message(1))
	f.Add(true, message(0xc0, 0xff, 0xee, 0x01))
	f.Add(true, message(0, 0, 0, 255))
	f.Fuzz(func(t *testing.T, natt bool, in []byte) {
		kind, payload := Classify(natt, in)
		if !bytes.HasSuffix(in, payload) {
			t.Fatalf("payload %x is not the end of %x", payload, in)
		}
		zero := [MarkerLen]byte{}
		switch kind {
		case IKE:
			marked := bytes.HasPrefix(in, zero[:])
			if len(payload) < 28 || natt && (!marked || len(payload) != len(in)-MarkerLen) || !natt && len(payload) != len(in) {
				t.Fatalf("IKE (natt %v) of %x: %x", natt, in, payload)
			}
		case ESP:
			if !natt || len(payload) != len(in) || len(in) < 8 || bytes.HasPrefix(in, zero[:3]) {
				t.Fatalf("ESP (natt %v) of %x: %x", natt, in, payload)
			}
		case Keepalive:
			if !natt || len(in) != 1 || in[0] != 0xFF || payload != nil {
				t.Fatalf("keepalive (natt %v) of %x: %x", natt, in, payload)
			}
		case Malformed:
			if payload != nil || !natt && len(in) >= 28 || natt && len(in) >= MarkerLen+28 && !bytes.HasPrefix(in, zero[:3]) {
				t.Fatalf("malformed (natt %v) of %x: %x", natt, in, payload)
			}
		default:
			t.Fatalf("no such kind: %d", kind)
		}
	})
}
