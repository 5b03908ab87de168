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
		use     Use
		in      []byte
		kind    Kind
		payload []byte
	}{
		{"IKE on the IKE port", ForIKE, ike, IKE, ike},
		{"smallest IKE message on the IKE port", ForIKE, ike[:28], IKE, ike[:28]},
		{"27 octets on the IKE port", ForIKE, ike[:27], Malformed, nil},
		{"nothing on the IKE port", ForIKE, nil, Malformed, nil},
		{"what looks like ESP is IKE on the IKE port", ForIKE, esp, IKE, esp},
		{"short ESP on the IKE port is nothing", ForIKE, esp[:16], Malformed, nil},
		{"a keepalive on the IKE port is nothing", ForIKE, []byte{0xFF}, Malformed, nil},
		{"an SPI that begins with zeros needs no marker on the IKE port", ForIKE, message(0, 0, 0, 0, 1), IKE, message(0, 0, 0, 0, 1)},

		{"IKE behind the marker", ForNATT, marked, IKE, ike},
		{"smallest IKE message behind the marker", ForNATT, marked[:MarkerLen+28], IKE, ike[:28]},
		{"marker and 27 octets", ForNATT, marked[:MarkerLen+27], Malformed, nil},
		{"marker alone", ForNATT, marked[:4], Malformed, nil},
		{"keepalive", ForNATT, []byte{0xFF}, Keepalive, nil},
		{"one octet that is no keepalive", ForNATT, []byte{0x00}, Malformed, nil},
		{"one octet that is nearly a keepalive", ForNATT, []byte{0xFE}, Malformed, nil},
		{"two keepalive octets", ForNATT, []byte{0xFF, 0xFF}, Malformed, nil},
		{"three zeros", ForNATT, []byte{0, 0, 0}, Malformed, nil},
		{"nothing", ForNATT, nil, Malformed, nil},
		{"IKE that lacks the marker is taken for ESP", ForNATT, ike, ESP, ike},
		{"ESP", ForNATT, esp, ESP, esp},
		{"shortest ESP", ForNATT, esp[:8], ESP, esp[:8]},
		{"ESP without the whole sequence number", ForNATT, esp[:7], Malformed, nil},
		{"SPI 1 is reserved", ForNATT, message(0, 0, 0, 1), Malformed, nil},
		{"SPI 255 is reserved", ForNATT, message(0, 0, 0, 255), Malformed, nil},
		{"SPI 256 is the first", ForNATT, message(0, 0, 1, 0), ESP, message(0, 0, 1, 0)},
		{"keepalive octets in an SPI", ForNATT, message(0xFF, 0xFF, 0xFF, 0xFF), ESP, message(0xFF, 0xFF, 0xFF, 0xFF)},

		{"ESP without UDP", ForESP, esp, ESP, esp},
		{"shortest ESP without UDP", ForESP, esp[:8], ESP, esp[:8]},
		{"7 octets without UDP", ForESP, esp[:7], Malformed, nil},
		{"no marker and no IKE without UDP", ForESP, marked, Malformed, nil},
		{"no keepalive without UDP", ForESP, []byte{0xFF}, Malformed, nil},
		{"SPI 255 is reserved without UDP", ForESP, message(0, 0, 0, 255), Malformed, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kind, payload := Classify(tt.use, tt.in)
			if kind != tt.kind || !bytes.Equal(payload, tt.payload) {
				t.Errorf("Classify(%v, %x) = %v, %x; want %v, %x", tt.use, tt.in, kind, payload, tt.kind, tt.payload)
			}
		})
	}
}

// MAL-01, MAL-03: of every length that is too short for a message, with every first octet, nothing is IKE on either port;
// behind no marker there is no ESP with an SPI below 256.
func TestShortDatagramsAreNothing(t *testing.T) {
	for n := range 32 {
		for first := range 256 {
			b := make([]byte, n)
			if n > 0 {
				b[0] = byte(first)
			}
			if kind, payload := Classify(ForIKE, b); n < 28 && (kind != Malformed || payload != nil) {
				t.Fatalf("%d octets from %#x on are %v on the IKE port", n, first, kind)
			}
			kind, _ := Classify(ForNATT, b)
			want := Malformed
			if first == 0xff && n == 1 {
				want = Keepalive
			} else if first != 0 && n >= 8 {
				want = ESP
			}
			if kind != want {
				t.Fatalf("%d octets from %#x on are %v, want %v", n, first, kind, want)
			}
		}
	}
	for spi := range 256 {
		if kind, _ := Classify(ForNATT, message(0, 0, 0, byte(spi))); kind != Malformed && spi > 0 {
			t.Errorf("SPI %d is %v", spi, kind)
		}
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
	f.Add(uint8(ForIKE), []byte{})
	f.Add(uint8(ForNATT), []byte{0xFF})
	f.Add(uint8(ForNATT), AddMarker(nil, message(1)))
	f.Add(uint8(ForIKE), message(1))
	f.Add(uint8(ForNATT), message(0xc0, 0xff, 0xee, 0x01))
	f.Add(uint8(ForNATT), message(0, 0, 0, 255))
	f.Add(uint8(ForESP), AddMarker(nil, message(1)))
	f.Add(uint8(ForESP), message(0xc0, 0xff, 0xee, 0x01))
	f.Fuzz(func(t *testing.T, which uint8, in []byte) {
		use := Use(which % 3)
		kind, payload := Classify(use, in)
		natt := use == ForNATT
		if !bytes.HasSuffix(in, payload) {
			t.Fatalf("payload %x is not the end of %x", payload, in)
		}
		zero := [MarkerLen]byte{}
		switch kind {
		case IKE:
			marked := bytes.HasPrefix(in, zero[:])
			if use == ForESP || len(payload) < 28 || natt && (!marked || len(payload) != len(in)-MarkerLen) || !natt && len(payload) != len(in) {
				t.Fatalf("IKE (use %v) of %x: %x", use, in, payload)
			}
		case ESP:
			if use == ForIKE || len(payload) != len(in) || len(in) < 8 || bytes.HasPrefix(in, zero[:3]) {
				t.Fatalf("ESP (use %v) of %x: %x", use, in, payload)
			}
		case Keepalive:
			if !natt || len(in) != 1 || in[0] != 0xFF || payload != nil {
				t.Fatalf("keepalive (use %v) of %x: %x", use, in, payload)
			}
		case Malformed:
			if payload != nil || use == ForIKE && len(in) >= 28 || use == ForESP && len(in) >= 8 && !bytes.HasPrefix(in, zero[:3]) || natt && len(in) >= MarkerLen+28 && !bytes.HasPrefix(in, zero[:3]) {
				t.Fatalf("malformed (use %v) of %x: %x", use, in, payload)
			}
		default:
			t.Fatalf("no such kind: %d", kind)
		}
	})
}
