package main

import (
	"strings"
	"testing"
)

const stream = `{"Action":"run","Package":"twinbore/esp","Test":"TestA"}
{"Action":"output","Package":"twinbore/esp","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"twinbore/esp","Test":"TestA"}
{"Action":"output","Package":"twinbore/tunnel/tun","Test":"TestB","Output":"    tun_test.go:12: needs strongSwan; to run it: make peers\n"}
{"Action":"output","Package":"twinbore/tunnel/tun","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"twinbore/tunnel/tun","Test":"TestB"}
{"Action":"output","Package":"twinbore/esp","Test":"TestC","Output":"    esp_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"twinbore/esp","Test":"TestC"}
{"Action":"fail","Package":"twinbore/esp"}
`

func TestTallyTellsWhatFailedAndWhatWasLeftOut(t *testing.T) {
	var got tally
	var shown, report strings.Builder
	got.read(strings.NewReader(stream), &shown)
	if got.passed != 1 || got.failed != 1 || len(got.skipped) != 1 {
		t.Fatalf("counted %d passed, %d failed, %d left out; want 1, 1, 1", got.passed, got.failed, len(got.skipped))
	}
	if !strings.Contains(shown.String(), "got 1, want 2") {
		t.Errorf("the output of the failed test is missing:\n%s", shown.String())
	}
	if got.report(&report, false) {
		t.Error("a missing peer is a failure outside CI")
	}
	want := "left out:\n  tunnel/tun TestB: needs strongSwan; to run it: make peers\n"
	if report.String() != want {
		t.Errorf("report\n%s\nwant\n%s", report.String(), want)
	}
	needsRoot := tally{skipped: []skip{{"tunnel/tun TestC", "needs root"}}}
	report.Reset()
	if needsRoot.report(&report, true); !strings.Contains(report.String(), "needs root; to run it: sudo make test") {
		t.Errorf("the command that would run it is missing: %s", report.String())
	}
	if !got.report(&report, true) {
		t.Error("a missing peer is no failure in CI")
	}
}
