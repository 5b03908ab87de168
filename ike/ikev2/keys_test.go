package ikev2

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"twinbore/esp/protect/vectors"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// TestKeysAsOthersDeriveThem is CRY-04 and CRY-16: the whole key schedule against what Libreswan's code computes, from the
// shared secret to the keys of an IKE SA, its Child SAs with and without PFS, and the seed of its successor, for both
// roles: the keys are checked by what they seal.
func TestKeysAsOthersDeriveThem(t *testing.T) {
	for _, c := range vectors.Load(t, "ike-kdf-cavp.txt") {
		prf := c.Text(t, "prf")
		for _, text := range []string{"aes128gcm16-" + prf + "-curve25519", "aes256gcm16-" + prf + "-curve25519", "aes128-sha256-" + prf + "-curve25519",
			"aes256-sha512-" + prf + "-curve25519", "chacha20poly1305-" + prf + "-curve25519"} {
			ours := ikeProposals(t, text)
			selection, err := suite.Select(ours, &wire.SA{Proposals: suite.Offer(ours, wire.ProtoIKE, nil, suite.WithGroups)}, wire.ProtoIKE, suite.SelectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s := selection.Suite
			ni, nr := c.Hex(t, "ni"), c.Hex(t, "nr")
			seed := firstSeed(s.PRF, ni, nr, c.Hex(t, "gir"))
			if want := c.Hex(t, "skeyseed"); !bytes.Equal(seed, want) {
				t.Fatalf("%s: SKEYSEED %x, want %x", c.Where, seed, want)
			}
			stream, err := s.PRF.Plus(seed, slices.Concat(ni, nr, c.Hex(t, "spii"), c.Hex(t, "spir")), 600)
			if want := c.Hex(t, "dkm"); err != nil || !bytes.HasPrefix(stream, want) {
				t.Fatalf("%s: the stream of keys %x, want %x; %v", c.Where, stream, want, err)
			}
			k, err := deriveKeys(s, seed, ni, nr, binary.BigEndian.Uint64(c.Hex(t, "spii")), binary.BigEndian.Uint64(c.Hex(t, "spir")))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(seed, make([]byte, len(seed))) {
				t.Errorf("%s: the seed is still there", c.Where)
			}
			next := func(n int) []byte { part := stream[:n]; stream = stream[n:]; return part }
			d, ai, ar, ei, er := next(s.PRF.KeyLen), next(s.IntegKeyLen()), next(s.IntegKeyLen()), next(s.EncrKeyLen()), next(s.EncrKeyLen())
			pi, pr := next(s.PRF.KeyLen), next(s.PRF.KeyLen)
			if !bytes.Equal(k.d, d) || !bytes.Equal(k.pi, pi) || !bytes.Equal(k.pr, pr) {
				t.Errorf("%s, %s: SK_d, SK_pi or SK_pr differ", c.Where, text)
			}
			plain, iv := make([]byte, 32), make([]byte, s.Algorithm.IVLen)
			for role, key := range map[string][]byte{"initiator": slices.Concat(ei, ai), "responder": slices.Concat(er, ar)} {
				want, err := s.Algorithm.New(key)
				if err != nil {
					t.Fatal(err)
				}
				sa := &SA{initiator: role == "initiator", keys: k}
				got := sa.keys.fromR
				if sa.initiator {
					got = sa.keys.fromI
				}
				if !bytes.Equal(got.Seal(nil, iv, plain, []byte("aad"), nil), want.Seal(nil, iv, plain, []byte("aad"), nil)) {
					t.Errorf("%s, %s: what the %s seals with differs", c.Where, text, role)
				}
			}

			for field, shared := range map[string][]byte{"child": nil, "child-dh": c.Hex(t, "gir-new")} {
				for _, esp := range []string{"aes128gcm16-noesn", "aes256gcm16-noesn", "aes128-sha256-noesn", "aes256-sha512-noesn", "chacha20poly1305-noesn"} {
					offers := espProposals(t, esp)
					chosen, err := suite.Select(offers, &wire.SA{Proposals: suite.Offer(offers, wire.ProtoESP, []byte{0, 0, 2, 2}, false)}, wire.ProtoESP, suite.SelectOptions{})
					if err != nil {
						t.Fatal(err)
					}
					alg, want := chosen.Suite.Algorithm, c.Hex(t, field)
					fromI, fromR, err := childKeys(s.PRF, k.d, shared, ni, nr, alg)
					if err != nil || !bytes.Equal(fromI, want[:alg.KeyLen]) || !bytes.Equal(fromR, want[alg.KeyLen:2*alg.KeyLen]) {
						t.Errorf("%s, %s: keys %x and %x, want %x; %v", c.Where, esp, fromI, fromR, want[:2*alg.KeyLen], err)
					}
				}
			}
			if got, want := rekeySeed(s.PRF, k.d, c.Hex(t, "gir-new"), ni, nr), c.Hex(t, "skeyseed-rekey"); !bytes.Equal(got, want) {
				t.Errorf("%s: SKEYSEED of the successor %x, want %x", c.Where, got, want)
			}
			kd := k.d
			if k.wipe(); !bytes.Equal(kd, make([]byte, len(kd))) || k.fromI != nil {
				t.Errorf("%s: keys are left after wipe", c.Where)
			}
		}
	}
}

// TestRolesAfterRekey is CRY-16: whoever rekeys an IKE SA is the initiator of the new one, whatever it was before, and a
// message sealed for the other direction opens nowhere.
func TestRolesAfterRekey(t *testing.T) {
	l := connected(t)
	for i, who := range []*gateway{l.b, l.a, l.b, l.b, l.a} {
		l.do(who, session.Rekey{IKE: true})
		l.settle()
		mine, theirs := who.sa(), l.other(who).sa()
		if !mine.initiator || theirs.initiator {
			t.Fatalf("rekey %d: initiator %v at who asked, %v at the other", i, mine.initiator, theirs.initiator)
		}
		for _, g := range []*gateway{l.a, l.b} {
			sa := g.sa()
			good := forged(sa, sa.header(wire.Informational, l.other(g).sa().nextIn, false)).with()
			good.Flags ^= wire.FlagInitiator
			wrong := good.seal() // sealed with the other direction's key
			wrong[19] ^= byte(wire.FlagInitiator)
			l.ignored(l.other(g), "the wrong direction", wrong)
		}
		l.unharmed()
	}
}

// TestPFSKeysAreTheirOwn is CRY-15: with a group for PFS the Child SA's keys do not follow from the IKE SA's.
func TestPFSKeysAreTheirOwn(t *testing.T) {
	for _, c := range []struct {
		esp     string
		follows bool
	}{{"aes128gcm16-noesn", true}, {"aes128gcm16-curve25519-noesn", false}} {
		l := newLab(t)
		l.a.cfg.ESP, l.b.cfg.ESP = espProposals(t, c.esp), espProposals(t, c.esp)
		l.initiate(l.a)
		l.settle()
		l.do(l.a, session.Rekey{})
		ni := find[*wire.Nonce](l.peek(l.a)).Data
		l.deliver(l.a)
		nr := find[*wire.Nonce](l.peek(l.b)).Data
		sa := l.a.sa()
		l.settle()
		made := l.a.children[sa.children[0].id]
		out, in, err := childKeys(sa.suite.PRF, sa.keys.d, nil, ni, nr, made.In.Algorithm)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Equal(in, made.In.Key) && bytes.Equal(out, made.Out.Key); got != c.follows {
			t.Errorf("%s: keys follow from SK_d and the nonces: %v", c.esp, got)
		}
	}
}

// TestPFSIsNotDropped is CRY-15 and SM-17: PFS is policy, and the peer leaves KE out, sends another group's, or another
// length, in request and answer.
func TestPFSIsNotDropped(t *testing.T) {
	leave := func(list []wire.Payload) []wire.Payload {
		return slices.DeleteFunc(list, func(p wire.Payload) bool { return p.Type() == wire.TypeKE })
	}
	another := func(list []wire.Payload) []wire.Payload { find[*wire.KE](list).Group = 19; return list }
	short := func(list []wire.Payload) []wire.Payload {
		ke := find[*wire.KE](list)
		ke.Data = ke.Data[1:]
		return list
	}
	zeros := func(list []wire.Payload) []wire.Payload { clear(find[*wire.KE](list).Data); return list }
	none := func(list []wire.Payload) []wire.Payload { // and the proposal too
		p := &find[*wire.SA](list).Proposals[0]
		p.Transforms = slices.DeleteFunc(p.Transforms, func(t wire.Transform) bool { return t.Type == wire.TransformKE })
		return leave(list)
	}
	for _, m := range moments {
		if m.name[:3] != "new" && m.name[:12] != "rekey child " {
			continue
		}
		for name, c := range map[string]struct {
			change func([]wire.Payload) []wire.Payload
			answer wire.NotifyType
		}{"no KE": {leave, wire.NotifyInvalidKEPayload}, "another group": {another, wire.NotifyInvalidKEPayload}, "a short KE": {short, wire.NotifyInvalidSyntax},
			"a KE of zeros": {zeros, wire.NotifyInvalidSyntax}, "no PFS at all": {none, wire.NotifyNoProposalChosen}} {
			l, g := m.reach(t)
			l.edit(g, c.change)
			to := l.other(g)
			before := len(to.children)
			l.deliver(g)
			if len(to.children) > before {
				t.Errorf("%s with %s: a Child SA is made", m.name, name)
			}
			if !m.answer() && says(l.peek(to)) != c.answer {
				t.Errorf("%s with %s: answered {%s}", m.name, name, wire.Describe(l.peek(to)))
			}
			l.heals()
		}
	}
}

// TestIVs is CRY-06 (CVE-2022-46397): the IVs of CBC come from the source of randomness, none twice, none a counter, none
// the block before. Those of an AEAD are a counter that starts anew with its key.
func TestIVs(t *testing.T) {
	for _, text := range []string{"aes128-sha256-curve25519", defaultIKE} {
		l := newLab(t)
		l.a.cfg.IKE, l.b.cfg.IKE = ikeProposals(t, text), ikeProposals(t, text)
		l.initiate(l.a)
		l.deliver(l.a)
		l.deliver(l.b)
		var ivs [][]byte
		var last []byte
		for i := range 50 {
			msg := l.queued(l.a)
			o := l.open(l.a, msg)
			n := len(o.iv)
			for _, before := range ivs {
				if bytes.Equal(before, o.iv) {
					t.Fatalf("%s: the IV of message %d comes again", text, i)
				}
			}
			if n == 16 {
				if bytes.Contains(last, o.iv) || i > 0 && bytes.Equal(ivs[i-1][:8], o.iv[:8]) {
					t.Errorf("%s: the IV of message %d can be foretold", text, i)
				}
			} else if got := binary.BigEndian.Uint64(o.iv); got != uint64(i+1) {
				t.Errorf("%s: the IV of message %d is %d", text, i, got)
			}
			ivs, last = append(ivs, o.iv), msg
			l.settle()
			l.do(l.a, session.Probe{})
		}
	}
	l := newLab(t) // the source is the one that is configured
	l.a.cfg.IKE, l.b.cfg.IKE = ikeProposals(t, "aes128-sha256-curve25519"), ikeProposals(t, "aes128-sha256-curve25519")
	l.initiate(l.a)
	l.settle()
	l.a.sa().p.cfg.Rand = bytes.NewReader(bytes.Repeat([]byte{0xab}, 16))
	l.do(l.a, session.Probe{})
	if o := l.open(l.a, l.queued(l.a)); !bytes.Equal(o.iv, bytes.Repeat([]byte{0xab}, 16)) {
		t.Errorf("the IV %x is not from the source of randomness", o.iv)
	}
}
