package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"twinbore/config"
)

// R47, R48: nft takes the rules, in front of those that are there, and a firewall that drops what it does not know still does.
func TestNftTakesTheRules(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("left out: nft needs root")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("left out: no nft; make peers installs it")
	}
	text, err := os.ReadFile("testdata/script/firewall.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "-- gw.yaml --\n")
	conf, _, _ := strings.Cut(rest, "-- aws.nft --\n")
	c, err := config.Load(fstest.MapFS{"f.yaml": {Data: []byte(conf), Mode: 0o600}}, nil, "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules []hostRule
	for _, conn := range c.Connections {
		rules = append(rules, hostRules(c, conn)...)
	}
	cmd := exec.Command("sh", "-c", "nft -f - && nft list ruleset")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET} // nobody's firewall
	cmd.Stdin = strings.NewReader("add table inet filter\nadd chain inet filter input { type filter hook input priority filter; policy drop; }\nadd rule inet filter input drop\n" +
		nftables(rules))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if exec.Command("nft", "list", "ruleset").Run() != nil {
			t.Skip("left out: nft does not work here")
		}
		t.Fatalf("nft: %v: %s", err, errs.String())
	}
	if got := strings.Count(out.String(), "accept comment"); got != len(rules) {
		t.Errorf("%d rules of %d", got, len(rules))
	}
	drop := strings.Index(out.String(), "\t\tdrop\n")
	if !strings.Contains(out.String(), "hook input priority filter; policy drop;") || drop < strings.Index(out.String(), "ip saddr 198.51.100.21") {
		t.Errorf("the firewall is\n%s", out.String())
	}
}
