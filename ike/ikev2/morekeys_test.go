package ikev2

import (
	"bytes"
	"slices"
	"testing"

	"twinbore/esp/protect/vectors"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

func suiteOf(t *testing.T, text string) suite.Suite {
	t.Helper()
	ours := ikeProposals(t, text)
	selection, err := suite.Select(ours, &wire.SA{Proposals: suite.Offer(ours, wire.ProtoIKE, nil, suite.WithGroups)}, wire.ProtoIKE, suite.SelectOptions{Additional: true})
	if err != nil {
		t.Fatal(err)
	}
	return selection.Suite
}

// H-06, K-01: the formulas of RFC 9370 §2.2.2 and §2.2.4 and of RFC 8784 §3 as Python computes them.
func TestKeysOfMoreExchanges(t *testing.T) {
	for _, c := range vectors.Load(t, "ike-more-keys.txt") {
		s := suiteOf(t, "aes128gcm16-"+c.Text(t, "prf")+"-curve25519")
		skd, ni, nr := c.Hex(t, "skd"), c.Hex(t, "ni"), c.Hex(t, "nr")
		x := mixture{nonces: nonces{ni, nr}, shared: [][]byte{c.Hex(t, "sk0"), c.Hex(t, "sk1"), c.Hex(t, "sk2")}}
		if got, want := rekeySeed(s.PRF, skd, c.Hex(t, "sk1"), ni, nr), c.Hex(t, "seed-one"); !bytes.Equal(got, want) {
			t.Errorf("%s: SKEYSEED(1) is %x, want %x", c.Name(), got, want)
		}
		if got, want := rekeySeed(s.PRF, skd, x.first(), ni, nr, x.others()...), c.Hex(t, "seed"); !bytes.Equal(got, want) {
			t.Errorf("%s: SKEYSEED of a rekey is %x, want %x", c.Name(), got, want)
		}
		fromI, fromR, err := childKeys(s.PRF, skd, x.first(), ni, nr, s.Algorithm, x.others()...)
		if want := c.Hex(t, "keymat"); err != nil || !bytes.Equal(slices.Concat(fromI, fromR), want) {
			t.Errorf("%s: KEYMAT is %x %x, want %x; %v", c.Name(), fromI, fromR, want, err)
		}
		k := &keys{d: slices.Clone(skd), pi: c.Hex(t, "pi"), pr: c.Hex(t, "pr")}
		was, err := k.mix(s.PRF, c.Hex(t, "ppk"))
		if want := c.Hex(t, "mixed"); err != nil || !bytes.Equal(slices.Concat(k.d, k.pi, k.pr), want) {
			t.Errorf("%s: the keys with the PPK are %x %x %x, want %x; %v", c.Name(), k.d, k.pi, k.pr, want, err)
		}
		if k.unmix(was); !bytes.Equal(k.d, skd) || !bytes.Equal(k.pi, c.Hex(t, "pi")) || !bytes.Equal(k.pr, c.Hex(t, "pr")) {
			t.Errorf("%s: without the PPK the keys are not what they were", c.Name())
		}
	}
}

// H-02, RFC 9242 §3.3.2: what AUTH covers, as Python computes it, of messages as we send them, as we receive them in one
// piece, and as we receive them in fragments.
func TestIntAuth(t *testing.T) {
	for _, c := range vectors.Load(t, "ike-more-keys.txt") {
		for _, form := range []string{"sent", "received", "in fragments"} {
			s := &SA{suite: suiteOf(t, "aes128gcm16-"+c.Text(t, "prf")+"-curve25519"), keys: &keys{}, handshake: &handshake{}}
			for i, name := range []string{"p1", "p2", "p3", "p4"} {
				id, plain, fromInitiator := uint32(1+i/2), c.Hex(t, name), i%2 == 0
				h := wire.Header{SPIi: spi(c.Hex(t, "spii")), SPIr: spi(c.Hex(t, "spir")), Version: wire.V2, Exchange: wire.IKEIntermediate, MessageID: id, Flags: wire.FlagResponse}
				key := "pr"
				if fromInitiator {
					h.Flags, key = wire.FlagInitiator, "pi"
				}
				s.keys.pi = c.Hex(t, key+string(rune('0'+id)))
				s.keys.pr = s.keys.pi
				covered := coveredSent(h, wire.TypeKE, plain)
				if form != "sent" {
					covered = coveredReceived(received(t, h, plain, form == "in fragments"))
				}
				s.cover(fromInitiator, covered)
				s.handshake.done = int(id)
			}
			if got, want := s.handshake.intAuth(), c.Hex(t, "intauth"); !bytes.Equal(got, want) {
				t.Errorf("%s, %s: IntAuth is %x, want %x", c.Name(), form, got, want)
			}
		}
	}
	if got := (&intermediates{}).intAuth(); got != nil {
		t.Errorf("without IKE_INTERMEDIATE AUTH covers %x more", got)
	}
}

func spi(b []byte) (v uint64) {
	for _, o := range b {
		v = v<<8 | uint64(o)
	}
	return v
}

// received is a message as it comes, and its first fragment if it comes in some.
func received(t *testing.T, h wire.Header, plain []byte, fragments bool) ([]byte, wire.Envelope, []byte) {
	t.Helper()
	sealed := make([]byte, 8+len(plain)+4+16) // IV, padding, tag
	msg, _ := wire.BeginSK(h, wire.TypeKE, 0, len(sealed))
	if fragments {
		sealed = sealed[:50]
		msg, _ = wire.BeginSKF(h, wire.TypeKE, 1, 3, 0, len(sealed))
	}
	msg = append(msg, sealed...)
	parsed, err := wire.ParseHeader(msg)
	if err != nil {
		t.Fatal(err)
	}
	env, err := wire.FindEnvelope(msg, parsed)
	if err != nil {
		t.Fatal(err)
	}
	return msg, env, plain
}

// Payloads in clear before the Encrypted payload are covered too, and so are reserved bits (RFC 9242 §3.3.2).
func TestIntAuthCoversWhatIsInClear(t *testing.T) {
	h := wire.Header{SPIi: 1, SPIr: 2, Version: wire.V2, Exchange: wire.IKEIntermediate, MessageID: 1, Next: wire.TypeVendorID}
	notice := []byte{byte(wire.TypeSKF), 0, 0, 8, 1, 2, 3, 4}
	skf := slices.Concat([]byte{byte(wire.TypeKE), 0x15, 0, 40, 0, 1, 0, 2}, make([]byte, 32))
	msg := slices.Concat(h.Append(nil), notice, skf)
	msg[27] = byte(len(msg))
	parsed, err := wire.ParseHeader(msg)
	if err != nil {
		t.Fatal(err)
	}
	env, err := wire.FindEnvelope(msg, parsed)
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte("payloads")
	want := slices.Concat(msg[:28], []byte{byte(wire.TypeSK), 0, 0, 8, 1, 2, 3, 4}, []byte{byte(wire.TypeKE), 0x15, 0, byte(4 + len(plain))}, plain)
	want[27] = byte(len(want))
	if got := coveredReceived(msg, env, plain); !bytes.Equal(got, want) {
		t.Errorf("covered is\n%x, want\n%x", got, want)
	}
}
