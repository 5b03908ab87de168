package ikev2

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// impairments are the words of hardening §6 that concern IKEv2: what one end, or the network between them, does wrong. Each
// is either done here, to two labs or more, or shown by tests that do more of the same, by their names; a name without a package
// is one of this package. After each both ends have the tunnel, or have nothing and make it when they are asked again.
var impairments = []struct {
	words string           // one or more
	does  func(*testing.T) // nil: others show it
	shown []string         // "TestX", "ike TestX", or a transcript "x.txt"
	left  string           // why neither: what we do not have
}{
	// message flow
	{words: "drop_inbound drop_outbound", shown: []string{"TestLossMatrix", "TestADayWithAThirdLost"}},
	{words: "block_inbound block_outbound", does: oneWayIsBlocked},
	{words: "drip_inbound drip_outbound", does: messagesDrip},
	{words: "duplicate_inbound duplicate_outbound jacob_two_two", shown: []string{"TestEveryMessageTwice"}},
	{words: "record_inbound record_outbound replay_inbound replay_outbound replay_duplicates", shown: []string{"TestEverythingHeardIsHeardAgain"}},
	{words: "suppress_retransmits", does: nothingIsRepeated},
	{words: "timeout_on_retransmit", does: gaveUpAtOnce},
	{words: "helper_thread_delay", does: slowPeer},

	// wrong content
	{words: "ke_payload", does: publicValuesOfOneOctet, shown: []string{"TestOmittedAndDoubled", "TestHostileFirstRequest", "TestBadPublicValueEndsTheIKESA", "TestBadPublicValueBeforeAuth"}},
	{words: "ike_key_length_attribute child_key_length_attribute", shown: []string{"TestHostileFirstRequest", "TestBelowTheOffer"}},
	{words: "ike_initiator_spi ike_responder_spi", does: otherSPIs, shown: []string{"TestReservedAndTakenSPIs"}},
	{words: "ike_initiator_nonce ike_responder_nonce", shown: []string{"TestHostileFirstRequest", "TestNonceShorterThanHalfTheKey"}},
	{words: "corrupt_encrypted", shown: []string{"TestEveryBitOfEveryMessage", "TestHostileEnvelope"}},
	{words: "replay_encrypted", shown: []string{"TestSameIDOtherOctets", "TestOutsideTheWindow"}},
	{words: "bad_ike_auth_xchg", does: otherExchanges},
	{words: "major_version_bump", shown: []string{"ike TestVersions", "ike TestNoFallbackToIKEv1"}},
	{words: "minor_version_bump send_bogus_isakmp_flag", does: headerBits, shown: []string{"TestHostileFirstRequest"}},
	{words: "send_bogus_payload_flag send_nonzero_reserved", does: payloadBits, shown: []string{"TestReservedOctetsAreCoveredAsTheyCame"}},
	{words: "send_nonzero_reserved_id", shown: []string{"TestReservedOctetsAreCoveredAsTheyCame"}},
	{words: "bust_mi2 bust_mr2", shown: []string{"TestLargeMessages"}},
	{words: "v2_proposal_integ v2_proposal_dh", shown: []string{"TestHostileFirstRequest", "TestPFSIsNotDropped"}},
	{words: "ike_add_transform child_add_transform", shown: []string{"TestHostileFirstRequest", "TestBelowTheOffer"}},
	{words: "v2_proposal_protoid", shown: []string{"TestHostileFirstRequest", "TestBelowTheOffer"}},
	{words: "v2_delete_protoid", shown: []string{"TestHostileDeletes"}},
	{words: "v2n_rekey_sa_protoid", does: rekeyOfAnotherProtocol},
	{words: "number_of_TSi_selectors number_of_TSr_selectors", shown: []string{"TestManySelectors", "TestHostileSelectors"}},
	{words: "truncate_signed_hash", does: shortProofs},
	{words: "mangle_cert_pubkey", shown: []string{"TestBadCertificatesLookAlike"}},
	{words: "force_v2_auth_method", shown: []string{"TestOtherMethod"}},
	{words: "ddos_cookie", shown: []string{"TestForgedRestarts", "TestCookieIsReturnedFirst", "ike TestCookies", "ike TestCookieMustBeFirst"}},

	// unknowns
	{words: "add_unknown_v2_payload_to add_unknown_v2_payload_to_sk unknown_v2_payload_critical pad_with_unknown_v2_payloads", does: unknownPayloads},
	{words: "add_v2_notification", shown: []string{"TestHostileNotifies", "TestUnknownNotifiesInAnswers", "TestNotBuiltIsNotActedOn"}},
	{words: "ignore_v2_notification omit_v2_notification", shown: []string{"TestOmittedAndDoubled"}},

	// omissions
	{words: "send_no_ikev2_auth", shown: []string{"TestNothingBeforeAuth", "half-open.txt"}},
	{words: "send_no_idr", shown: []string{"TestOmittedAndDoubled"}},
	{words: "send_no_delete", does: endsWithoutAWord, shown: []string{"case-delete-never-comes.txt"}},
	{words: "drop_i2", shown: []string{"TestLossMatrix"}},
	{words: "omit_v2_ike_auth_child childless_ikev2_supported", shown: []string{"TestChildlessIsAnswered", "TestChildlessAnnounced"}},
	{words: "omit_addke_notification", shown: []string{"TestFollowupAnswerSpoilt"}},

	// rekey
	{words: "rekey_initiate_supernet rekey_initiate_subnet", shown: []string{"TestRekeyOutsidePolicy"}},
	{words: "rekey_respond_supernet rekey_respond_subnet", shown: []string{"TestWiderAnswers"}},
	{words: "ignore_soft_expire", shown: []string{"case-delete-never-comes.txt", "TestRenewalIsTheInitiators"}},
	{words: "ignore_hard_expire", shown: []string{"TestExpiredIsNotUsed"}},
	{words: "ignore_viable_parent", shown: []string{"ike TestRivals", "ike TestBothInitiateAtOnce"}},
	{words: "trigger_v2_rekey trigger_v2_replace trigger_v2_liveness initiate_v2_liveness", shown: []string{"TestEveryInterleaving", "TestRandomLives"}},
	{words: "trigger_revival", shown: []string{"cmd/internal/daemon TestTunnelThatIsDownDoesNotAnswer", "ike TestPeerRestarts"}},
	{words: "send_keepalive", shown: []string{"tunnel/datapath TestKeepalivesGoOutWhenNothingElseDoes"}},

	// installation, and the rest
	{words: "install_ipsec_sa_inbound_state install_ipsec_sa_inbound_policy install_ipsec_sa_outbound_state install_ipsec_sa_outbound_policy",
		shown: []string{"ike TestInstallFails", "ike TestDataPathRefuses"}},
	{words: "log_rate_limit", shown: []string{"ike TestLogIsBounded"}},
	{words: "cannot_ondemand", shown: []string{"traffic.txt", "TestAPacketOutsideThePolicyIsNotAskedFor"}},
	{words: "force_fips", left: "there is no mode of that name to force"},
	{words: "event_check_crls", left: "revocation lists are read when a certificate is judged, and never by a timer"},
}

// TestImpairments is hardening §6.
func TestImpairments(t *testing.T) {
	named := map[string]bool{}
	for _, i := range impairments {
		for word := range strings.FieldsSeq(i.words) {
			if named[word] {
				t.Errorf("%s is there twice", word)
			}
			named[word] = true
		}
		if i.does == nil && len(i.shown) == 0 && i.left == "" {
			t.Errorf("%s: nothing shows it", i.words)
		}
		for _, test := range i.shown {
			if !exists(t, test) {
				t.Errorf("%s: there is no %s", i.words, test)
			}
		}
		if i.does != nil {
			t.Run(i.words, i.does)
		}
	}
}

// exists reports whether there is such a test, or such a transcript.
func exists(t *testing.T, name string) bool {
	if strings.HasSuffix(name, ".txt") {
		_, err := os.Stat("testdata/" + name)
		return err == nil
	}
	dir := "."
	if folder, test, other := strings.Cut(name, " "); other {
		dir, name = filepath.Join("../..", folder), test
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	begins := regexp.MustCompile(`(?m)^func ` + name + `\(t \*testing\.T\)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if begins.Match(text) {
			return true
		}
	}
	return false
}
