package datapath

import (
	"bytes"
	"testing"
)

// pieces cuts b for mtu and puts the pieces together again.
func pieces(t *testing.T, b []byte, mtu int) (out [][]byte, payload []byte) {
	t.Helper()
	p := parsed(t, b)
	f, ok := newFragmenter(b, &p, mtu)
	if !ok {
		t.Fatalf("no room in %d octets", mtu)
	}
	start := int(be16(b, 6)&fragmentMask) * 8
	for {
		piece, more := f.next(nil)
		if !more {
			return out, payload
		}
		header := int(piece[0]&15) * 4
		if len(piece) > mtu || int(be16(piece, 2)) != len(piece) || !valid(onesComplement(piece[:header])) {
			t.Errorf("piece %d: %d octets, says %d", len(out), len(piece), be16(piece, 2))
		}
		if at := int(be16(piece, 6)&fragmentMask) * 8; at != start+len(payload) {
			t.Errorf("piece %d is at %d, want %d", len(out), at, start+len(payload))
		}
		if !bytes.Equal(piece[4:6], b[4:6]) || !bytes.Equal(piece[8:10], b[8:10]) || !bytes.Equal(piece[12:20], b[12:20]) {
			t.Errorf("piece %d: the header is another packet's: % x", len(out), piece[:20])
		}
		payload = append(payload, piece[header:]...)
		out = append(out, piece)
	}
}

func more(b []byte) bool { return be16(b, 6)&moreFragments != 0 }

func TestFragmentsMakeThePacketAgain(t *testing.T) { // ESP-06, RFC 791 §3.2
	b := udp("10.1.0.1", "10.2.0.1", 1, 2, 3000)
	put16(b, 4, 0xbeef)
	b = rehash(b)
	out, payload := pieces(t, b, 1438)
	if len(out) != 3 || !bytes.Equal(payload, b[20:]) {
		t.Fatalf("%d pieces with %d octets, want 3 with %d", len(out), len(payload), len(b)-20)
	}
	for i, piece := range out {
		if more(piece) != (i < 2) {
			t.Errorf("piece %d: more = %v", i, more(piece))
		}
	}
}

func TestAFragmentIsCutAgain(t *testing.T) {
	b := fragment(udp("10.1.0.1", "10.2.0.1", 1, 2, 1992), 4000, true)
	out, payload := pieces(t, b, 576)
	if !bytes.Equal(payload, b[20:]) {
		t.Error("the pieces do not make the fragment")
	}
	if !more(out[len(out)-1]) {
		t.Error("the last piece says that nothing follows, but it was not the last fragment")
	}
}

func TestOnlyCopiedOptionsAreRepeated(t *testing.T) { // RFC 791 §3.1
	route, timestamp := []byte{0x83, 4, 4, 0}, []byte{0x44, 4, 5, 0}
	b := udp("10.1.0.1", "10.2.0.1", 1, 2, 1000)
	b = append(append(append(append([]byte(nil), b[:20]...), timestamp...), route...), b[20:]...)
	b[0] = 0x47
	put16(b, 2, len(b))
	b = rehash(b)
	out, _ := pieces(t, b, 576)
	if !bytes.Equal(out[0][20:28], b[20:28]) {
		t.Errorf("options of the first piece: % x", out[0][20:28])
	}
	if want := append([]byte{optNOP, optNOP, optNOP, optNOP}, route...); !bytes.Equal(out[1][20:28], want) {
		t.Errorf("options of the second piece: % x, want % x", out[1][20:28], want)
	}
}

func TestBadOptionsDoNotStopTheCutting(t *testing.T) {
	for _, options := range [][]byte{{0x44, 0, 1, 1}, {0x44, 1, 1, 1}, {0x44, 9, 1, 1}, {1, 1, 1, 0x44}, {0, 0x44, 0, 0}} {
		blankOptions(bytes.Clone(options))
	}
	b := udp("10.1.0.1", "10.2.0.1", 1, 2, 100)
	p := parsed(t, b)
	if _, ok := newFragmenter(b, &p, 27); ok {
		t.Error("7 octets of room make fragments")
	}
}
