package ikev2

import (
	"os"
	"strings"
	"testing"
)

// TestNamedCollisions has the cases of hardening §5.3 that are more than a cell: those that strongSwan's test suites are named
// after, and what its users have met, by its issue's number. TestTranscripts compares them line by line; here both ends must
// agree in the end, keep something to send on where the script says gapless, and have gone the way that the case is about.
func TestNamedCollisions(t *testing.T) {
	for name, scripts := range map[string]map[string]string{ // what must be in a transcript, by its file
		"the group is invalid while both rekey, and the second try comes late": {"case-invalid-ke-while-colliding": "a: child rekeyed, 0x61000004 after 0x61000001"},
		"only one side has more key exchanges": {"followup-one-side": "N(ADDITIONAL_KEY_EXCHANGE)", "followup-one-side-wins": "N(ADDITIONAL_KEY_EXCHANGE)",
			"followup-ike-one-side": "N(ADDITIONAL_KEY_EXCHANGE)", "followup-ike-one-side-wins": "N(ADDITIONAL_KEY_EXCHANGE)"},
		"the answer comes after the redundant SA was deleted": {"collide-rekey-child-rekey-child-late": "a: child rekeyed, 0x61000002 after 0x61000001",
			"collide-rekey-ike-rekey-ike-late-4": "a: the IKE SA is rekeyed"},
		"the request comes when the other side has finished": {"case-request-after-the-end": "N(CHILD_SA_NOT_FOUND)",
			"case-request-after-the-end-ike": "N(TEMPORARY_FAILURE)"},
		"the responder deletes the old SA too early":           {"case-incorrect-delete": "a: child rekeyed, 0x61000003 after 0x61000002"},
		"soft end ignored, hard end while waiting for Delete":  {"case-delete-never-comes": "after 1m0s\n       b: remove 0x62000001"},
		"the responder has lost the SA":                        {"collide-forget-child-rekey-child": "N(CHILD_SA_NOT_FOUND)"},
		"a Delete is lost while both rekey the IKE SA":         {"collide-rekey-ike-rekey-ike-lost-5": "INFORMATIONAL request #0  {(again)}"},
		"#1896: a lost request, and TEMPORARY_FAILURE to it":   {"field-1896": "N(TEMPORARY_FAILURE)"},
		"#2477: one rekey of two fails by traffic selectors":   {"field-2477": "N(TS_UNACCEPTABLE)"},
		"#1458: the Delete overtakes the answer":               {"field-1458": "a: child rekeyed, 0x61000003 after 0x61000001"},
		"#3042: the link goes and comes during an IKE rekey":   {"field-3042": "UPDATE_SA_ADDRESSES"},
		"#2945: rekey of what is replaced, deleted or unknown": {"collide-forget-child-rekey-child-lost-2": "N(CHILD_SA_NOT_FOUND)"}, // and TestRekeyOfWhatIsReplacedOrGone
	} {
		t.Run(name, func(t *testing.T) {
			for file, want := range scripts {
				text, err := os.ReadFile("testdata/" + file + ".txt")
				if err != nil {
					t.Fatal(err)
				}
				script, transcript, _ := strings.Cut(string(text), "----\n")
				l := newLab(t)
				l.strict = true
				if err := l.script(script + "deliver all\nwait 90s\n"); err != nil {
					t.Fatal(err)
				}
				if problem := l.judged(); problem != "" {
					t.Errorf("%s: %s\n%s", file, problem, l.log.String())
				}
				if !strings.Contains(transcript, want) {
					t.Errorf("%s does not have %q:\n%s", file, want, transcript)
				}
			}
		})
	}
}
