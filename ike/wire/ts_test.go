package wire

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
)

// selectors is the body of a TS payload with one selector of each family.
func selectors() []byte {
	b := []byte{2, 0, 0, 0,
		7, 6, 0, 16, 0, 80, 0, 90, 10, 0, 0, 0, 10, 0, 0, 255,
		8, 0, 0, 40, 0, 0, 0xff, 0xff}
	b = append(b, netip.MustParseAddr("2001:db8::").AsSlice()...)
	return append(b, netip.MustParseAddr("2001:db8::ffff").AsSlice()...)
}

func TestTSHasTheFormOfTheRFC(t *testing.T) { // RFC 7296 §3.13
	want := []TrafficSelector{
		{Proto: 6, FromPort: 80, ToPort: 90, From: netip.MustParseAddr("10.0.0.0"), To: netip.MustParseAddr("10.0.0.255")},
		{ToPort: 65535, From: netip.MustParseAddr("2001:db8::"), To: netip.MustParseAddr("2001:db8::ffff")},
	}
	for _, kind := range []PayloadType{TypeTSi, TypeTSr} {
		got := one[*TS](t, kind, raw(None, 0, selectors()...))
		if got.Type() != kind || !reflect.DeepEqual(got.Selectors, want) || got.Unknown != 0 {
			t.Errorf("%v: got %+v, want %+v", kind, got, want)
		}
		if b := body(got); !bytes.Equal(b, selectors()) {
			t.Errorf("%v: wrote %x, want %x", kind, b, selectors())
		}
	}
}

func TestTSFaultsOfStructureAreRefused(t *testing.T) { // MAL-15, CVE-2023-23009
	for what, change := range map[string]func(b []byte) []byte{
		"count one less":                func(b []byte) []byte { b[0]--; return b },
		"count one more":                func(b []byte) []byte { b[0]++; return b },
		"count 0":                       func(b []byte) []byte { b[0] = 0; return b },
		"count 255":                     func(b []byte) []byte { b[0] = 255; return b },
		"IPv4 selector of 15":           func(b []byte) []byte { b[7] = 15; return b },
		"IPv4 selector of 17":           func(b []byte) []byte { b[7] = 17; return b },
		"IPv4 selector of 40":           func(b []byte) []byte { b[7] = 40; return b },
		"IPv6 selector of 16":           func(b []byte) []byte { b[23] = 16; return b[:36] },
		"IPv6 selector of 39":           func(b []byte) []byte { b[23] = 39; return b },
		"selector of 0":                 func(b []byte) []byte { b[7] = 0; return b },
		"selector of 3":                 func(b []byte) []byte { b[7] = 3; return b },
		"unknown type of length 3":      func(b []byte) []byte { b[4], b[7] = 99, 3; return b },
		"unknown type longer than left": func(b []byte) []byte { b[4], b[6] = 99, 1; return b },
		"IPv4 with the type of IPv6":    func(b []byte) []byte { b[4] = 8; return b },
		"IPv6 with the type of IPv4":    func(b []byte) []byte { b[20] = 7; return b },
		"first address after the last":  func(b []byte) []byte { b[15] = 255; b[19] = 254; return b },
		"ports 90 to 80":                func(b []byte) []byte { b[9], b[11] = 90, 80; return b },
		"ports 65535 to 1":              func(b []byte) []byte { copy(b[8:], []byte{255, 255, 0, 1}); return b },
		"ports 65534 to 0":              func(b []byte) []byte { copy(b[8:], []byte{255, 254, 0, 0}); return b },
	} {
		refused(t, what, TypeTSi, raw(None, 0, change(selectors())...))
	}
}

func TestTSUnusualButWhole(t *testing.T) { // MAL-15
	b := selectors()
	copy(b[8:], []byte{255, 255, 0, 0}) // OPAQUE
	b[1], b[2], b[3] = 1, 2, 3          // reserved
	if got := one[*TS](t, TypeTSr, raw(None, 0, b...)); got.Selectors[0].FromPort != 65535 || got.Selectors[0].ToPort != 0 {
		t.Errorf("OPAQUE ports: got %+v", got.Selectors[0])
	}
	if got := one[*TS](t, TypeTSr, raw(None, 0, 0, 0, 0, 0)); len(got.Selectors) != 0 {
		t.Errorf("count 0: got %+v, want none", got)
	}
	mapped := netip.MustParseAddr("::ffff:192.0.2.1") // stays IPv6
	want := &TS{Selectors: []TrafficSelector{{From: mapped, To: mapped}}}
	if got := one[*TS](t, TypeTSr, AppendPayloads(nil, []Payload{want})); !reflect.DeepEqual(got, want) {
		t.Errorf("mapped address: got %+v, want %+v", got, want)
	}
}

func TestTSOfUnknownTypeIsSkippedAndCounted(t *testing.T) { // MAL-15, RFC 7296 §2.9; type 10 is RFC 9478's
	b := append([]byte{4, 0, 0, 0, 10, 0, 0, 4}, selectors()[4:]...)
	b = append(b, 99, 0, 0, 9, 1, 2, 3, 4, 5)
	got := one[*TS](t, TypeTSi, raw(None, 0, b...))
	want := one[*TS](t, TypeTSi, raw(None, 0, selectors()...))
	if got.Unknown != 2 || !reflect.DeepEqual(got.Selectors, want.Selectors) {
		t.Errorf("got %+v, want the two known and two counted", got)
	}
	if b := body(got); !bytes.Equal(b, selectors()) {
		t.Errorf("wrote %x, want the known ones only", b)
	}
	got = one[*TS](t, TypeTSi, raw(None, 0, 1, 0, 0, 0, 9, 0, 0, 8, 1, 2, 3, 4))
	if got.Unknown != 1 || got.Selectors != nil {
		t.Errorf("nothing known: got %+v, want one counted and no selectors", got)
	}
}
