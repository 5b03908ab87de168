package suite

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"twinbore/ike/wire"
)

// selectAll is a responder's choice where additional key exchanges can follow.
func selectAll(ours []Proposal, theirs *wire.SA) (Selection, error) {
	return Select(ours, theirs, ours[0].Protocol, SelectOptions{WithGroups: true, Additional: true})
}

// RFC 9370 §2.2.1, H-03: our order, no method twice, NONE as often as one likes.
func TestSelectAdditionalKeyExchanges(t *testing.T) {
	const base = "aes256gcm16-prfsha384-"
	for _, c := range []struct{ name, ours, theirs, want string }{
		{"one", "ecp384-ke1_mlkem768", "ecp384-ke1_mlkem768", "ecp384-ke1_mlkem768"},
		{"our order", "ecp384-ke1_mlkem1024-ke1_mlkem768", "ecp384-ke1_mlkem768-ke1_mlkem1024", "ecp384-ke1_mlkem1024"},
		{"several, in the order of their numbers", "ecp384-ke7_ecp521-ke2_mlkem768", "ecp384-ke2_mlkem768-ke7_ecp521", "ecp384-ke2_mlkem768-ke7_ecp521"},
		{"a method rather than NONE, in our order", "ecp384-ke1_mlkem768-ke1_none", "ecp384-ke1_none-ke1_mlkem768", "ecp384-ke1_mlkem768"},
		{"NONE rather than a method, in our order", "ecp384-ke1_none-ke1_mlkem768", "ecp384-ke1_mlkem768-ke1_none", "ecp384"},
		{"NONE in common", "ecp384-ke1_mlkem768-ke1_none", "ecp384-ke1_mlkem1024-ke1_none", "ecp384"},
		{"NONE for several", "ecp384-ke1_mlkem768-ke1_none-ke2_mlkem1024-ke2_none", "ecp384-ke1_ecp521-ke1_none-ke2_ecp521-ke2_none", "ecp384"},
		{"we may leave it out, they do not know it", "ecp384-ke1_mlkem768-ke1_none", "ecp384", "ecp384"},
		{"they may leave it out, we do not want it", "ecp384", "ecp384-ke1_mlkem768-ke1_none", "ecp384"},
		{"we want it", "ecp384-ke1_mlkem768", "ecp384", ""},
		{"they want it", "ecp384", "ecp384-ke1_mlkem768", ""},
		{"different methods", "ecp384-ke1_mlkem768", "ecp384-ke1_mlkem1024", ""},
		{"different places", "ecp384-ke1_mlkem768", "ecp384-ke2_mlkem768", ""},
		{"the first of ours serves already", "ecp384-ke1_ecp384-ke1_mlkem768", "ecp384-ke1_ecp384-ke1_mlkem768", "ecp384-ke1_mlkem768"},
		{"an earlier one gives way", "ecp384-ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768", "ecp384-ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768", "ecp384-ke1_mlkem1024-ke2_mlkem768"},
		{"the group gives way", "ecp384-ecp256-ke1_ecp384", "ecp384-ecp256-ke1_ecp384", "ecp256-ke1_ecp384"},
		{"a later one is left out rather than an earlier one changed", "ecp384-ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768-ke2_none",
			"ecp384-ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768-ke2_none", "ecp384-ke1_mlkem768"},
		{"a chain of three", "ecp256-ecp384-ke1_ecp256-ke1_ecp521-ke2_ecp521-ke2_mlkem768-ke3_ecp256", "ecp256-ecp384-ke1_ecp256-ke1_ecp521-ke2_ecp521-ke2_mlkem768-ke3_ecp256",
			"ecp384-ke1_ecp521-ke2_mlkem768-ke3_ecp256"},
		{"a chain that they cut", "ecp256-ecp384-ke1_ecp256-ke1_ecp521-ke2_ecp521-ke2_mlkem768-ke3_ecp256", "ecp256-ecp384-ke1_ecp256-ke2_ecp521-ke2_mlkem768-ke3_ecp256-ke3_ecp521", ""},
	} {
		s, err := selectAll(ikes(t, base+c.ours), offered(t, base+c.theirs))
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: %s is chosen, want a mismatch", c.name, s.Suite)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.TrimPrefix(s.Suite.String(), base); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// Strategies that go from first to last find nothing here (strongSwan issue 2048).
func TestSelectLooksBack(t *testing.T) {
	ours := ikes(t, "aes256-sha1-modp1024-modp1536-modp2048-ke1_mlkem1024-ke1_none-ke2_mlkem768-ke2_modp2048-ke3_ecp256-ke4_mlkem1024-ke5_mlkem1024-ke5_none")
	theirs := offered(t, "aes256-sha1-ecp256-modp1536-modp1024-ke1_mlkem1024-ke1_mlkem768-ke1_none-ke2_mlkem768-ke3_ecp256-ke4_mlkem1024-ke5_mlkem1024-ke5_none")
	s, err := selectAll(ours, theirs)
	if want := "aes256-sha1-modp1024-ke2_mlkem768-ke3_ecp256-ke4_mlkem1024"; err != nil || s.Suite.String() != want {
		t.Errorf("got %s, %v, want %s", s.Suite, err, want)
	}
}

// The group of the KE payload is taken as long as the rest can be served with it.
func TestSelectPrefersAGroupThatLeavesTheOthersTheirs(t *testing.T) {
	text := "aes256gcm16-prfsha384-ecp384-ecp256-ke1_ecp256-ke1_mlkem768"
	for mine, want := range map[string]string{
		text: "aes256gcm16-prfsha384-ecp256-ke1_mlkem768",
		"aes256gcm16-prfsha384-ecp384-ecp256-ke1_ecp256": "aes256gcm16-prfsha384-ecp384-ke1_ecp256",
	} {
		s, err := Select(ikes(t, mine), offered(t, text), wire.ProtoIKE, SelectOptions{PreferGroup: 19, Additional: true})
		if err != nil || s.Suite.String() != want {
			t.Errorf("%s: got %s, %v, want %s", mine, s.Suite, err, want)
		}
	}
}

// The answer has one transform for each additional key exchange that is offered, NONE where that is chosen; the suite
// has the methods in the order of the exchanges, none skipped (H-04).
func TestSelectAnswersAdditionalKeyExchanges(t *testing.T) {
	s, err := selectAll(ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_none-ke3_mlkem1024-ke7_ecp521"),
		offered(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem1024-ke1_none-ke3_mlkem1024-ke4_ecp256-ke4_none-ke7_ecp521"))
	if err != nil {
		t.Fatal(err)
	}
	want := []wire.Transform{{Type: 1, ID: 20, KeyBits: 256}, {Type: 2, ID: 6}, {Type: 4, ID: 20}, {Type: 6}, {Type: 8, ID: 37}, {Type: 9}, {Type: 12, ID: 21}}
	if !slices.Equal(s.Wire.Transforms, want) {
		t.Errorf("answer is %+v, want %+v", s.Wire.Transforms, want)
	}
	if !slices.Equal(s.Suite.Additional, []*Group{mlkem1024, ecp521}) || s.Suite.Group != ecp384 {
		t.Errorf("the suite has %s, then %v", s.Suite.Group.Name, s.Suite.Additional)
	}
	if got, want := s.Suite.String(), "aes256gcm16-prfsha384-ecp384-ke3_mlkem1024-ke7_ecp521"; got != want {
		t.Errorf("the suite is written %s, want %s", got, want)
	}
	again, err := selectAll(ikes(t, s.Suite.String()), offered(t, s.Suite.String()))
	if err != nil || again.Suite.String() != s.Suite.String() {
		t.Errorf("the suite as a proposal gives %s, %v", again.Suite, err)
	}
}

// Where they cannot follow, additional key exchanges are agreed to be NONE or nothing is agreed (H-01); in IKE_AUTH there
// are none in a Child SA's proposal, and what is there is passed over.
func TestSelectWithoutAdditionalKeyExchanges(t *testing.T) {
	const ike, esp = "aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384"
	for _, c := range []struct {
		name   string
		ours   []Proposal
		theirs *wire.SA
		opts   SelectOptions
		want   string // "" for a mismatch
	}{
		{"no IKE_INTERMEDIATE", ikes(t, ike+"-ke1_mlkem768"), offered(t, ike+"-ke1_mlkem768"), SelectOptions{}, ""},
		{"no IKE_INTERMEDIATE, and NONE will do", ikes(t, ike+"-ke1_mlkem768-ke1_none"), offered(t, ike+"-ke1_mlkem768-ke1_none"), SelectOptions{}, ike},
		{"no IKE_INTERMEDIATE, and NONE will do for them", ikes(t, ike+"-ke1_mlkem768"), offered(t, ike+"-ke1_mlkem768-ke1_none"), SelectOptions{}, ""},
		{"no IKE_INTERMEDIATE, another proposal", ikes(t, ike+"-ke1_mlkem768", ike), offered(t, ike+"-ke1_mlkem768", ike), SelectOptions{}, ike},
		{"IKE_AUTH", esps(t, esp+"-ke1_mlkem768"), offeredESP(t, WithoutGroups, esp+"-ke1_mlkem768"), SelectOptions{}, "aes256gcm16"},
		{"IKE_AUTH with what should not be there", esps(t, esp), offeredESP(t, WithGroups, esp+"-ke1_mlkem768"), SelectOptions{}, "aes256gcm16"},
		{"CREATE_CHILD_SA", esps(t, esp+"-ke1_mlkem768"), offeredESP(t, WithGroups, esp+"-ke1_mlkem768"), SelectOptions{WithGroups: true, Additional: true}, esp + "-ke1_mlkem768"},
		{"CREATE_CHILD_SA with ML-KEM alone", esps(t, "aes256gcm16-mlkem768"), offeredESP(t, WithGroups, "aes256gcm16-mlkem768"), SelectOptions{WithGroups: true, Additional: true}, "aes256gcm16-mlkem768"},
	} {
		s, err := Select(c.ours, c.theirs, c.ours[0].Protocol, c.opts)
		if (err == nil) != (c.want != "") || err == nil && s.Suite.String() != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, s.Suite, err, c.want)
		}
	}
}

// H-03, CRY-11: an initiator takes no more and no less than it offered, and no method twice.
func TestAcceptChecksAdditionalKeyExchanges(t *testing.T) {
	ours := ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768-ke2_ecp384-ke2_none-ke3_mlkem1024-ke3_none")
	answer := func(additional ...wire.Transform) *wire.SA {
		return &wire.SA{Proposals: []wire.Proposal{{Number: 1, Protocol: wire.ProtoIKE, Transforms: append([]wire.Transform{
			{Type: 1, ID: 20, KeyBits: 256}, {Type: 2, ID: 6}, {Type: 4, ID: 20}}, additional...)}}}
	}
	for _, c := range []struct {
		name   string
		answer *wire.SA
		want   []*Group // nil for an error with
		err    string   // in it
	}{
		{"all", answer(wire.Transform{Type: 6, ID: 37}, wire.Transform{Type: 7, ID: 36}, wire.Transform{Type: 8}), []*Group{mlkem1024, mlkem768}, ""},
		{"in another order", answer(wire.Transform{Type: 8, ID: 37}, wire.Transform{Type: 7}, wire.Transform{Type: 6, ID: 36}), []*Group{mlkem768, mlkem1024}, ""},
		{"NONE said by nothing, as strongSwan does", answer(wire.Transform{Type: 6, ID: 36}), []*Group{mlkem768}, ""},
		{"NONE that was not offered", answer(wire.Transform{Type: 6}), nil, "chose ke1_none, which we did not offer"},
		{"nothing where something must be", answer(wire.Transform{Type: 7, ID: 36}), nil, "no transform of type ADDKE1"},
		{"a method twice", answer(wire.Transform{Type: 6, ID: 36}, wire.Transform{Type: 7, ID: 36}), nil, "mlkem768 for two key exchanges"},
		{"the group twice", answer(wire.Transform{Type: 6, ID: 36}, wire.Transform{Type: 7, ID: 20}), nil, "ecp384 for two key exchanges"},
		{"a method of another place", answer(wire.Transform{Type: 6, ID: 20}), nil, "chose ke1_ecp384, which we did not offer"},
		{"a method never offered", answer(wire.Transform{Type: 6, ID: 35}), nil, "chose ke1_mlkem512"},
		{"two methods for one", answer(wire.Transform{Type: 6, ID: 36}, wire.Transform{Type: 6, ID: 37}), nil, "two transforms of type ADDKE1"},
		{"a place never offered", answer(wire.Transform{Type: 6, ID: 36}, wire.Transform{Type: 9, ID: 37}), nil, "chose ke4_mlkem1024"},
		{"a place that does not exist", answer(wire.Transform{Type: 6, ID: 36}, wire.Transform{Type: 13, ID: 37}), nil, "TRANSFORM_13 37"},
	} {
		s, err := Accept(ours, c.answer, wire.ProtoIKE, WithGroups)
		switch {
		case c.want == nil && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: got %s, %v, want an error with %q", c.name, s.Suite, err, c.err)
		case c.want != nil && (err != nil || !slices.Equal(s.Suite.Additional, c.want)):
			t.Errorf("%s: got %s, %v", c.name, s.Suite, err)
		}
	}
}

// Two ends with any policies agree on what is best in the responder's order, if there is anything; all choices are tried
// out to know it.
func TestNegotiationFindsTheBestChoice(t *testing.T) {
	src := rand.New(rand.NewPCG(9370, 1))
	agreed, refused := 0, 0
	for range 1500 {
		proto := []wire.ProtocolID{wire.ProtoIKE, wire.ProtoESP}[src.IntN(2)]
		mine, yours := randomExchanges(t, src, proto), randomExchanges(t, src, proto)
		want := bestExchanges(mine, yours)
		offer := &wire.SA{Proposals: Offer([]Proposal{yours}, proto, map[wire.ProtocolID][]byte{wire.ProtoESP: espSPI}[proto], WithGroups)}
		s, err := selectAll([]Proposal{mine}, offer)
		if (err == nil) != (want != nil) {
			t.Fatalf("%s meets an offer of %s: got %s, %v, want %v", mine, yours, s.Suite, err, want)
		}
		if err != nil {
			refused++
			continue
		}
		agreed++
		var got []string
		for _, r := range s.Suite.rows()[3:] {
			got = append(got, r.Name)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s meets an offer of %s: got %v, want %v", mine, yours, got, want)
		}
		s.Wire.SPI = offer.Proposals[0].SPI
		back, err := Accept([]Proposal{yours}, &wire.SA{Proposals: []wire.Proposal{s.Wire}}, proto, WithGroups)
		if err != nil || back.Suite.String() != s.Suite.String() || !slices.Equal(back.Suite.Additional, s.Suite.Additional) {
			t.Fatalf("%s answers an offer of %s with %+v: the initiator has %s, %v, want %s", mine, yours, s.Wire, back.Suite, err, s.Suite)
		}
	}
	if agreed < 100 || refused < 100 {
		t.Errorf("%d agreed and %d did not: the policies show too little", agreed, refused)
	}
}

// randomExchanges is a proposal with one cipher and many ways to exchange keys.
func randomExchanges(t *testing.T, src *rand.Rand, proto wire.ProtocolID) Proposal {
	t.Helper()
	pick := func(words []string, most int) []string {
		words = slices.Clone(words)
		src.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		return words[:1+src.IntN(most)]
	}
	for {
		text, parse := "aes256gcm16-prfsha384", ParseIKE
		if proto == wire.ProtoESP {
			text, parse = "aes256gcm16-noesn", ParseESP
		}
		for _, g := range pick([]string{"ecp256", "ecp384", "curve25519"}, 3) {
			text += "-" + g
		}
		for n := 1; n <= 4; n++ {
			if src.IntN(2) == 0 {
				continue
			}
			for _, m := range pick([]string{"ecp256", "ecp384", "mlkem768", "mlkem1024", "none"}, 4) {
				text += fmt.Sprintf("-ke%d_%s", n, m)
			}
		}
		if p, err := parse(text); err == nil {
			return p
		} else if !strings.Contains(err.Error(), "of its own") && !strings.Contains(err.Error(), "left out") {
			t.Fatal(err)
		}
	}
}

// bestExchanges tries every choice for the key exchanges of mine in its order, and returns the words of the first that
// yours allows too; nil: there is none.
func bestExchanges(mine, yours Proposal) []string {
	best := []string(nil)
	var try func(place int, words []string, used map[string]bool) bool
	try = func(place int, words []string, used map[string]bool) bool {
		if place == 1+maxAdditional {
			best = words
			return true
		}
		ours, theirs, word := names(mine.Groups), names(yours.Groups), ""
		if place > 0 {
			ours, theirs, word = names(mine.Additional[place-1]), names(yours.Additional[place-1]), fmt.Sprintf("ke%d_", place)
			if len(ours) == 0 { // not to want it is to want NONE
				ours = []string{"none"}
			}
			if len(theirs) == 0 {
				theirs = []string{"none"}
			}
		}
		for _, m := range ours {
			switch {
			case !slices.Contains(theirs, m) || used[m]:
			case m == "none":
				if try(place+1, words, used) {
					return true
				}
			default:
				used[m] = true
				if try(place+1, append(slices.Clone(words), word+m), used) {
					return true
				}
				used[m] = false
			}
		}
		return false
	}
	try(0, nil, map[string]bool{})
	return best
}

// A policy and an offer that make the choice as long as it can be: the hostile half sends it in every proposal.
func BenchmarkSelectOfManyKeyExchanges(b *testing.B) {
	var words, most []string
	for _, g := range dhGroups() {
		most = append(most, g.Name)
	}
	for n := range maxAdditional {
		for _, m := range most[:7] {
			words = append(words, fmt.Sprintf("ke%d_%s", n+1, m))
		}
	}
	p := ikes(b, "aes256-sha256-"+strings.Join(most, "-")+"-ke1_mlkem768")[0]
	var additional [maxAdditional][]Row
	for i := range additional {
		for _, w := range words[i*7 : i*7+7] {
			additional[i] = append(additional[i], mustLookup(b, w[4:]))
		}
	}
	p.Additional = additional
	var sa wire.SA
	for range wire.MaxProposals {
		o := Offer([]Proposal{p}, wire.ProtoIKE, nil, WithGroups)[0]
		o.Number = uint8(len(sa.Proposals) + 1)
		o.Transforms = slices.DeleteFunc(o.Transforms, func(t wire.Transform) bool { // seven methods are left for eight exchanges
			return t.Type == wire.TransformKE && !slices.ContainsFunc(additional[0], func(r Row) bool { return r.ID == t.ID })
		})
		sa.Proposals = append(sa.Proposals, o)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := selectAll([]Proposal{p}, &sa); err == nil {
			b.Fatal("eight key exchanges share seven methods")
		}
	}
}
