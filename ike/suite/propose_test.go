package suite

import (
	"slices"
	"strings"
	"testing"

	"twinbore/ike/wire"
)

var (
	espSPI = []byte{0xc0, 0xff, 0xee, 1}
	ikeSPI = []byte{1, 2, 3, 4, 5, 6, 7, 8}
)

// offerTexts writes an offer as one line a proposal, number first.
func offerTexts(offer []wire.Proposal) string {
	var lines []string
	for _, o := range offer {
		var words []string
		for _, tr := range o.Transforms {
			words = append(words, tr.Type.String()+"="+transformName(tr))
		}
		lines = append(lines, string('0'+rune(o.Number))+" "+strings.Join(words, " "))
	}
	return strings.Join(lines, "\n")
}

func TestOffer(t *testing.T) {
	for _, c := range []struct {
		name   string
		ps     []Proposal
		proto  wire.ProtocolID
		groups GroupChoice
		want   string
	}{
		{"IKE always has groups", ikes(t, "aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048"), wire.ProtoIKE, WithoutGroups,
			"1 ENCR=aes256gcm16 PRF=prfsha384 KE=ecp384\n2 ENCR=aes256 INTEG=sha256 PRF=prfsha256 KE=modp2048"},
		{"a mix of ciphers is split, our first cipher's part first", ikes(t, "aes128-aes256gcm16-aes256-sha256-ecp256-ecp384"), wire.ProtoIKE, WithGroups,
			"1 ENCR=aes128 ENCR=aes256 INTEG=sha256 PRF=prfsha256 KE=ecp256 KE=ecp384\n2 ENCR=aes256gcm16 PRF=prfsha256 KE=ecp256 KE=ecp384"},
		{"a mix of ciphers with the AEAD first", esps(t, "chacha20poly1305-aes256-sha256"), wire.ProtoESP, WithGroups,
			"1 ENCR=chacha20poly1305 ESN=esn ESN=noesn\n2 ENCR=aes256 INTEG=sha256 ESN=esn ESN=noesn"},
		{"ESP with PFS in CREATE_CHILD_SA", esps(t, "aes256gcm16-ecp384", "aes256gcm16-ecp256"), wire.ProtoESP, WithGroups,
			"1 ENCR=aes256gcm16 KE=ecp384 ESN=esn ESN=noesn\n2 ENCR=aes256gcm16 KE=ecp256 ESN=esn ESN=noesn"},
		{"ESP in IKE_AUTH, equal ones once", esps(t, "aes256gcm16-ecp384", "aes256gcm16-ecp256", "aes128gcm16-noesn"), wire.ProtoESP, WithoutGroups,
			"1 ENCR=aes256gcm16 ESN=esn ESN=noesn\n2 ENCR=aes128gcm16 ESN=noesn"},
		{"proposals of the other protocol are not offered", append(ikes(t, "aes256-sha256-ecp256"), esps(t, "aes128gcm16")...), wire.ProtoESP, WithGroups,
			"1 ENCR=aes128gcm16 ESN=esn ESN=noesn"},
		{"additional key exchanges after the first, NONE where one may be left out", ikes(t, "aes256gcm16-ke7_ecp521-ke1_mlkem768-ke1_none-prfsha384-ecp384"), wire.ProtoIKE, WithGroups,
			"1 ENCR=aes256gcm16 PRF=prfsha384 KE=ecp384 ADDKE1=ke1_mlkem768 ADDKE1=ke1_none ADDKE7=ke7_ecp521"},
		{"additional key exchanges in both parts of a mix", ikes(t, "aes256gcm16-aes256-sha256-ecp256-ke1_mlkem768"), wire.ProtoIKE, WithGroups,
			"1 ENCR=aes256gcm16 PRF=prfsha256 KE=ecp256 ADDKE1=ke1_mlkem768\n2 ENCR=aes256 INTEG=sha256 PRF=prfsha256 KE=ecp256 ADDKE1=ke1_mlkem768"},
		{"additional key exchanges for ESP in CREATE_CHILD_SA", esps(t, "aes256gcm16-ecp384-ke1_mlkem768-noesn", "aes256gcm16-mlkem1024-noesn"), wire.ProtoESP, WithGroups,
			"1 ENCR=aes256gcm16 KE=ecp384 ADDKE1=ke1_mlkem768 ESN=noesn\n2 ENCR=aes256gcm16 KE=mlkem1024 ESN=noesn"},
		{"no key exchange at all for ESP in IKE_AUTH", esps(t, "aes256gcm16-ecp384-ke1_mlkem768-noesn", "aes256gcm16-mlkem1024-noesn"), wire.ProtoESP, WithoutGroups,
			"1 ENCR=aes256gcm16 ESN=noesn"},
	} {
		offer := Offer(c.ps, c.proto, espSPI, c.groups)
		if got := offerTexts(offer); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
		for _, o := range offer {
			if o.Protocol != c.proto || !slices.Equal(o.SPI, espSPI) {
				t.Errorf("%s: proposal %d is for %s with SPI %x", c.name, o.Number, o.Protocol, o.SPI)
			}
			if why := unsound(o); why != "" {
				t.Errorf("%s: proposal %d: %s", c.name, o.Number, why)
			}
		}
	}
}

func TestOfferDoesNotShareTheSPI(t *testing.T) {
	spi := slices.Clone(espSPI)
	offer := Offer(esps(t, "aes256gcm16"), wire.ProtoESP, spi, WithGroups)
	spi[0] = 0
	if offer[0].SPI[0] == 0 {
		t.Error("the offer changes with the caller's SPI")
	}
}

func TestOfferStopsAtTheLimitOfThePayload(t *testing.T) {
	var ps []Proposal
	for _, encr := range []string{"aes128", "aes256"} {
		for _, integ := range []string{"sha256", "sha384", "sha512"} {
			for _, prf := range []string{"prfsha256", "prfsha384", "prfsha512"} {
				for _, g := range []string{"curve25519", "ecp256", "ecp384", "ecp521", "modp2048"} {
					ps = append(ps, ikes(t, strings.Join([]string{encr, integ, prf, g}, "-"))...)
				}
			}
		}
	}
	offer := Offer(ps, wire.ProtoIKE, nil, WithGroups)
	if len(ps) <= wire.MaxProposals || len(offer) != wire.MaxProposals || offer[len(offer)-1].Number != wire.MaxProposals {
		t.Errorf("%d proposals are offered of %d, want %d", len(offer), len(ps), wire.MaxProposals)
	}
}

// N-07, CRY-10: what the wire carries of the modern profile of product.md §5 is what it says, no more.
func TestOfferOfTheModernProfileHoldsNothingWeak(t *testing.T) {
	for _, o := range Offer(ikes(t, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha256-ecp256", "aes256-sha256-modp2048"), wire.ProtoIKE, nil, WithGroups) {
		for _, tr := range o.Transforms {
			if r, ok := rowOf(tr); !ok || r.Weak != "" {
				t.Errorf("proposal %d offers %s", o.Number, transformName(tr))
			}
		}
	}
}

func TestGroupsAreListedOnceInOurOrder(t *testing.T) {
	var got []string
	for _, g := range Groups(ikes(t, "aes256gcm16-prfsha384-ecp384-ecp256", "aes256-sha256-ecp256-modp2048")) {
		got = append(got, g.Name)
	}
	if want := "ecp384 ecp256 modp2048"; strings.Join(got, " ") != want {
		t.Errorf("groups are %v, want %s", got, want)
	}
	if g := Groups(ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768")); len(g) != 1 || g[0] != ecp384 {
		t.Errorf("additional key exchanges are among the groups for the first: %v", g)
	}
	if g := Groups(esps(t, "aes256gcm16")); g != nil {
		t.Errorf("a proposal without PFS has groups %v", g)
	}
}
