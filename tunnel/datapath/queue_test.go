package datapath

import (
	"bytes"
	"fmt"
	"testing"

	"twinbore/esp"
)

func TestInboxKeepsOrderAndBounds(t *testing.T) { // DOS-15
	var x inbox
	x.init()
	on := esp.Path{Local: port("192.0.2.1:500"), Remote: port("198.51.100.1:500")}
	for i := range inboxMessages {
		if !x.put(fmt.Append(nil, "message ", i), on) {
			t.Fatalf("message %d does not fit", i)
		}
	}
	if x.put([]byte("one more"), on) {
		t.Error("the inbox has no bound of messages")
	}
	b := make([]byte, 100)
	for i := range inboxMessages {
		n, from, open := x.take(b)
		if want := fmt.Sprint("message ", i); !open || from != on || string(b[:n]) != want {
			t.Fatalf("took %q from %v, want %q", b[:n], from, want)
		}
	}
	if n, _, open := x.take(b); n != 0 || !open {
		t.Errorf("an empty inbox gives %d octets", n)
	}
	large := make([]byte, 60000)
	taken := 0
	for x.put(large, on) {
		taken++
	}
	if taken != inboxOctets/len(large) {
		t.Errorf("%d messages of 60000 octets fit, want %d", taken, inboxOctets/len(large))
	}
	x.close()
	if _, _, open := x.take(b); open {
		t.Error("the inbox is open after close")
	}
}

func TestTheNewestPacketsWait(t *testing.T) { // R23, DOS-16
	var w waiting
	var d drops
	second := int64(1e9)
	for i := range 10 {
		w.keep(whole([]byte{byte(i)}), 0, int64(i)*second, &d)
	}
	if got := d[noSA].Load(); got != 6 {
		t.Errorf("%d dropped, want 6", got)
	}
	// 6, 7, 8 and 9 wait; at 17.5 s the first two are older than ten seconds.
	got := w.take(0, 17*second+second/2, &d)
	if want := [][]byte{{8}, {9}}; len(got) != 2 || !bytes.Equal(got[0].frame.Packet(), want[0]) || !bytes.Equal(got[1].frame.Packet(), want[1]) {
		t.Errorf("took %v, want %v", got, want)
	}
	if got := d[noSA].Load(); got != 8 {
		t.Errorf("%d dropped, want 8", got)
	}
	if got := w.take(0, 0, &d); got != nil {
		t.Errorf("took %v twice", got)
	}
	w.keep(whole([]byte{1}), 0, 0, &d)
	w.clear(&d)
	if got := d[noSA].Load(); got != 9 || w.take(0, 0, &d) != nil {
		t.Errorf("%d dropped after clear, want 9", got)
	}
}

func TestEveryReasonHasAName(t *testing.T) {
	seen := map[string]bool{}
	for r := range reasons {
		name := r.String()
		if name == "" || seen[name] {
			t.Errorf("reason %d is called %q", r, name)
		}
		seen[name] = true
	}
}

func TestErrorsOfESPHaveReasons(t *testing.T) {
	for _, err := range []error{esp.ErrMalformed, esp.ErrUnknownSPI, esp.ErrReplay, esp.ErrAuth, esp.ErrDummy, esp.ErrInner,
		esp.ErrSeqExhausted, esp.ErrExpired, fmt.Errorf("IV: no entropy")} {
		if got, want := reasonOf(err).String(), esp.DropReason(err); got != want {
			t.Errorf("%v is counted as %q, want %q", err, got, want)
		}
	}
}
