package wire

import (
	"bytes"
	"reflect"
	"testing"
)

func TestDeleteHasTheFormOfTheRFC(t *testing.T) { // N-12, RFC 7296 §3.11
	for _, c := range []struct {
		wire []byte
		want Delete
	}{
		{[]byte{1, 0, 0, 0}, Delete{Protocol: ProtoIKE}},
		{[]byte{3, 4, 0, 2, 0, 0, 1, 0, 0xff, 0, 0, 1}, Delete{Protocol: ProtoESP, SPIs: []uint32{0x100, 0xff000001}}},
		{[]byte{2, 4, 0, 0}, Delete{Protocol: ProtoAH}},
		{[]byte{3, 4, 0, 2, 0, 0, 0, 9, 0, 0, 0, 9}, Delete{Protocol: ProtoESP, SPIs: []uint32{9, 9}}}, // twice: the caller's business
	} {
		if got := one[*Delete](t, TypeDelete, raw(None, 0, c.wire...)); !reflect.DeepEqual(*got, c.want) {
			t.Errorf("read %+v, want %+v", *got, c.want)
		}
		if got := body(&c.want); !bytes.Equal(got, c.wire) {
			t.Errorf("wrote %x, want %x", got, c.wire)
		}
	}
	if got := one[*Delete](t, TypeDelete, raw(None, 0, 1, 0, 0, 7)); got.SPIs != nil { // count without a size counts nothing
		t.Errorf("IKE: got %+v, want no SPIs", got)
	}
}

func TestDeleteSizeAndCountMustAgree(t *testing.T) { // MAL-17, N-12
	for what, b := range map[string][]byte{
		"IKE with SPIs of 4":    {1, 4, 0, 1, 1, 2, 3, 4},
		"IKE with SPIs of 8":    {1, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8},
		"IKE with octets after": {1, 0, 0, 1, 1, 2, 3, 4},
		"ESP with SPIs of 0":    {3, 0, 0, 1},
		"ESP with SPIs of 3":    {3, 3, 0, 1, 1, 2, 3},
		"ESP with SPIs of 8":    {3, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8},
		"count one less":        {3, 4, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8},
		"count one more":        {3, 4, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8},
		"count 65535":           {3, 4, 255, 255, 1, 2, 3, 4},
		"count 16385":           {3, 4, 0x40, 1, 1, 2, 3, 4}, // its octets would be 4 in 16 bits
		"no count":              {3, 4, 0},
	} {
		refused(t, what, TypeDelete, raw(None, 0, b...))
	}
}

func TestDeleteLimitIsCheckedBeforeStoring(t *testing.T) { // MAL-17
	b := body(&Delete{Protocol: ProtoESP, SPIs: make([]uint32, MaxDeleteSPIs)})
	if got := one[*Delete](t, TypeDelete, raw(None, 0, b...)); len(got.SPIs) != MaxDeleteSPIs {
		t.Errorf("got %d SPIs, want %d", len(got.SPIs), MaxDeleteSPIs)
	}
	chain := raw(None, 0, append([]byte{3, 4, 0x3f, 0xff}, make([]byte, 4*0x3fff-8)...)...)
	refused(t, "16381 SPIs and two that are not there", TypeDelete, chain)
	chain = raw(None, 0, append([]byte{3, 4, 0x3f, 0xfd}, make([]byte, 4*0x3ffd)...)...)
	refused(t, "16381 SPIs", TypeDelete, chain)
	if used := allocated(func() { ParsePayloads(TypeDelete, chain) }); used > 4<<10 {
		t.Errorf("%d octets allocated before the refusal, want under 4 kB", used)
	}
}
