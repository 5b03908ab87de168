package wire

import (
	"bytes"
	"reflect"
	"testing"
)

func TestPlainBodiesHaveTheFormOfTheRFC(t *testing.T) {
	nonce := bytes.Repeat([]byte{0x5a}, 16)
	for _, c := range []struct {
		section string
		p       Payload
		wire    []byte
		ignored []int // reserved octets, N-03
	}{
		{"RFC 7296 §3.4", &KE{Group: 0x0113, Data: []byte{9, 8}}, []byte{1, 0x13, 0, 0, 9, 8}, []int{2, 3}},
		{"RFC 7296 §3.6", &Cert{Encoding: CertX509Signature, Data: []byte{0x30}}, []byte{4, 0x30}, nil},
		{"RFC 7296 §3.7", &CertReq{Encoding: CertX509Signature, Authorities: []byte{7}}, []byte{4, 7}, nil},
		{"RFC 7296 §3.8", &Auth{Method: AuthDigitalSignature, Data: []byte{1, 2}}, []byte{14, 0, 0, 0, 1, 2}, []int{1, 2, 3}},
		{"RFC 7296 §3.9", &Nonce{Data: nonce}, nonce, nil},
		{"RFC 7296 §3.12", &VendorID{Data: []byte("vendor")}, []byte("vendor"), nil},
	} {
		if got := body(c.p); !bytes.Equal(got, c.wire) {
			t.Errorf("%s: wrote %x, want %x", c.section, got, c.wire)
		}
		received := bytes.Clone(c.wire)
		for _, i := range c.ignored {
			received[i] = 0xff
		}
		if got, err := ParsePayloads(c.p.Type(), raw(None, 0, received...)); err != nil || !reflect.DeepEqual(got, []Payload{c.p}) {
			t.Errorf("%s: read %+v, %v, want %+v", c.section, got, err, c.p)
		}
	}
}
