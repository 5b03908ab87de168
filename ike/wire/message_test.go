package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCapturedMessagesAreReadAndWrittenAgain(t *testing.T) {
	const natt = "N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) "
	all := captured(t)
	for name, want := range map[string]string{ // the payloads as tshark 4.0 shows them
		"init-request":       "SA KE No " + natt + "N(IKEV2_FRAGMENTATION_SUPPORTED) N(SIGNATURE_HASH_ALGORITHMS) N(REDIRECT_SUPPORTED)",
		"init-invalid-ke":    "N(INVALID_KE_PAYLOAD)",
		"init-request-again": "SA KE No " + natt + "N(IKEV2_FRAGMENTATION_SUPPORTED) N(SIGNATURE_HASH_ALGORITHMS) N(REDIRECT_SUPPORTED)",
		"init-response": "SA KE No " + natt +
			"N(IKEV2_FRAGMENTATION_SUPPORTED) N(SIGNATURE_HASH_ALGORITHMS) N(CHILDLESS_IKEV2_SUPPORTED) N(MULTIPLE_AUTH_SUPPORTED)",
	} {
		m, err := ParseMessage(all[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := Describe(m.Payloads); got != want {
			t.Errorf("%s: got  %s\nwant %s", name, got, want)
		}
		if m.Header.Exchange != IKESAInit || m.Header.Version != V2 || m.Header.Response() == m.Header.Initiator() {
			t.Errorf("%s: header %+v", name, m.Header)
		}
		if again := m.Marshal(); !bytes.Equal(again, all[name]) {
			t.Errorf("%s: written again differs:\n%x\n%x", name, all[name], again)
		}
	}
}

func TestCapturedProposals(t *testing.T) {
	all := captured(t)
	m, err := ParseMessage(all["init-response"])
	if err != nil {
		t.Fatal(err)
	}
	sa := m.Payloads[0].(*SA)
	want := []Transform{{Type: TransformENCR, ID: 20, KeyBits: 256}, {Type: TransformPRF, ID: 6}, {Type: TransformKE, ID: 20}}
	if len(sa.Proposals) != 1 || len(sa.Proposals[0].Transforms) != len(want) {
		t.Fatalf("got %+v, want one proposal of aes256gcm16-prfsha384-ecp384", sa)
	}
	for i, got := range sa.Proposals[0].Transforms {
		if got != want[i] {
			t.Errorf("transform %d: got %+v, want %+v", i, got, want[i])
		}
	}
	if ke := m.Payloads[1].(*KE); ke.Group != 20 || len(ke.Data) != 96 {
		t.Errorf("got a key share of group %d, %d octets, want group 20, 96 octets", ke.Group, len(ke.Data))
	}

	if m, err = ParseMessage(all["init-request"]); err != nil {
		t.Fatal(err)
	}
	ps := m.Payloads[0].(*SA).Proposals
	if len(ps) != 2 || len(ps[0].Transforms) != 38 || len(ps[1].Transforms) != 47 || ps[1].Number != 2 {
		t.Errorf("default proposals: got %+v, want two of 38 and 47 transforms", ps)
	}
}

func TestEveryPrefixOfACapturedMessageIsRefused(t *testing.T) {
	for name, b := range captured(t) {
		for n := range b {
			if _, err := ParseHeader(b[:n:n]); err == nil {
				t.Fatalf("%s cut to %d of %d octets: header accepted", name, n, len(b))
			}
			if n < HeaderLen {
				continue
			}
			short := setLength(bytes.Clone(b[:n]), n) // now only the payloads can tell
			h, err := ParseHeader(short)
			if err != nil {
				t.Fatal(err)
			}
			var e *Error
			if h.Next != TypeSK && h.Next != TypeSKF {
				if _, err := ParseMessage(short); !errors.As(err, &e) {
					t.Fatalf("%s cut to %d of %d octets: error %v, want an *Error", name, n, len(b), err)
				}
			}
			if _, err := FindEnvelope(short, h); !errors.As(err, &e) {
				t.Fatalf("%s cut to %d of %d octets: envelope found, error %v", name, n, len(b), err)
			}
		}
	}
}

func TestMarshalWritesNextAndLength(t *testing.T) {
	m := &Message{Header: Header{Next: 99, Length: 99, Version: V2}, Payloads: []Payload{&VendorID{Data: []byte("v")}}}
	got, err := ParseMessage(m.Marshal())
	if err != nil || got.Header.Next != TypeVendorID || got.Header.Length != 33 {
		t.Errorf("got %+v, %v, want next V and length 33", got, err)
	}
	if m.Header.Next != 99 {
		t.Error("Marshal changed the message")
	}
	defer func() {
		if recover() == nil {
			t.Error("a message over MaxMessage was written")
		}
	}()
	m.Payloads[0] = &VendorID{Data: make([]byte, 65531)}
	m.Marshal()
}

func TestFaultsSayWhere(t *testing.T) {
	m := &Message{Payloads: []Payload{&VendorID{Data: []byte("v")}, &Nonce{Data: make([]byte, 15)}}}
	_, err := ParseMessage(m.Marshal())
	if want := "octet 37: nonce: 15 octets, must be 16 to 256"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	b := m.Marshal()
	if _, err = ParseMessage(b[:len(b)-1]); err == nil || !strings.HasPrefix(err.Error(), "octet 28: message length: ") {
		t.Errorf("one octet less: got %v, want a fault of the message length", err)
	}
	m.Payloads[0] = &Unknown{Kind: 200, Critical: true}
	m.Payloads = m.Payloads[:1]
	_, err = ParseMessage(m.Marshal())
	if want := "unsupported critical payload 200"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
