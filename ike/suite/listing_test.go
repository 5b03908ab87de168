package suite

import (
	"slices"
	"strings"
	"testing"

	"twinbore/ike/wire"
)

func TestListingTellsEachKindOnce(t *testing.T) {
	var ps []Proposal
	for _, text := range []string{"aes256gcm16-prfsha384-ecp384", "aes256-sha256-ecp384"} {
		p, err := ParseIKE(text)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	var got []string
	for _, d := range Listing(ps, wire.ProtoIKE) {
		if len(d.Theirs) > 0 || d.Taken {
			t.Errorf("it tells of a peer: %v", d)
		}
		got = append(got, d.What()+" "+strings.Join(d.Ours, ","))
	}
	want := []string{"encryption aes256gcm16,aes256 (CBC)", "integrity sha256", "PRF prfsha384,prfsha256", "group ecp384"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if Listing(ps, wire.ProtoESP) != nil {
		t.Error("IKE proposals are listed for ESP")
	}
}

// F3: what agrees stands beside what differs, and nothing stands in both.
func TestMismatchTellsWhatTheNearestHaveInCommon(t *testing.T) {
	ours, err := ParseIKE("aes256gcm16-prfsha384-ecp384")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ParseIKE("aes256gcm16-prfsha256-ecp384")
	if err != nil {
		t.Fatal(err)
	}
	offer := &wire.SA{Proposals: Offer([]Proposal{theirs}, wire.ProtoIKE, nil, WithGroups)}
	_, err = Select([]Proposal{ours}, offer, wire.ProtoIKE, SelectOptions{})
	m, ok := err.(*Mismatch)
	if !ok || len(m.Nearest) != 1 || m.Nearest[0].Kind != KindPRF {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, d := range m.Common {
		got = append(got, d.What())
	}
	if want := []string{"encryption", "group"}; !slices.Equal(got, want) {
		t.Errorf("in common: got %q, want %q", got, want)
	}
}
