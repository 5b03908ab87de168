package wire

import (
	"bytes"
	"strings"
	"testing"
)

func TestIDKeepsReservedOctetsForAUTH(t *testing.T) { // N-03, RFC 7296 §2.15
	received := append([]byte{byte(IDFQDN), 1, 2, 3}, "gw.example"...)
	for _, kind := range []PayloadType{TypeIDi, TypeIDr} {
		id := one[*ID](t, kind, raw(None, 0, received...))
		if id.Type() != kind || id.Kind != IDFQDN || string(id.Data) != "gw.example" {
			t.Errorf("%v: got %+v", kind, id)
		}
		if got := id.Body(); !bytes.Equal(got, received) {
			t.Errorf("%v: AUTH would cover %x, want %x as received", kind, got, received)
		}
	}
	sent := (&ID{Kind: IDIPv4, Data: []byte{192, 0, 2, 1}}).Body()
	if want := []byte{1, 0, 0, 0, 192, 0, 2, 1}; !bytes.Equal(sent, want) {
		t.Errorf("our own: got %x, want %x", sent, want)
	}
}

// TestIDContentIsNotJudged: what a name means, and how it may be shown, is for ike/auth. Here every type, length and
// content comes through as octets.
func TestIDContentIsNotJudged(t *testing.T) { // MAL-14, shape
	for kind := range 256 {
		for _, data := range []string{"", "abc", "abcde", strings.Repeat("x", 15), strings.Repeat("x", 17), "a\x00b", "a\nb",
			"\x1b[31m", "$(id)", "\x30\x80\x00\x00", strings.Repeat("x", 65527)} {
			id := one[*ID](t, TypeIDi, AppendPayloads(nil, []Payload{&ID{Initiator: true, Kind: IDType(kind), Data: []byte(data)}}))
			if id.Kind != IDType(kind) || string(id.Data) != data {
				t.Fatalf("type %d, %d octets: came back as type %d, %d octets", kind, len(data), id.Kind, len(id.Data))
			}
		}
	}
}
