package esp

import (
	"testing"

	"twinbore/esp/protect"
)

func TestNewestIsTheHighestNumberOpened(t *testing.T) { // RPL-09, RFC 7296 §2.23
	for _, esn := range []bool{false, true} {
		out, in := pair(t, params(protect.AES128GCM16, esn, 64))
		if in.Newest(0) {
			t.Error("a number is the newest before the first packet")
		}
		for _, seq := range []uint64{5, 3} {
			wantErr(t, in, seal(t, out, seq, ipv4(40)), nil, "opened")
		}
		if !in.Newest(5) || in.Newest(3) || in.Newest(6) {
			t.Errorf("esn %v: newest is not 5 alone", esn)
		}
	}
	out, in := pair(t, params(protect.AES128GCM16, false, 0))
	wantErr(t, in, seal(t, out, 7, ipv4(40)), nil, "opened")
	if in.Newest(7) {
		t.Error("without a replay check an old packet is taken for the newest")
	}
}
