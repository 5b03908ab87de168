package main

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
)

func TestLogLines(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 5_000_000, time.Local)
	for want, e := range map[string]api.LogEntry{
		"2026-11-21 12:00:00.005  hq/1  → IKE_SA_INIT request #0  {SA KE No}  296 octets to 192.0.2.1:500  ask for an IKE SA": {
			Connection: "hq", Tunnel: "1", Kind: "message", Text: "ask for an IKE SA", Remote: "192.0.2.1:500",
			Message: &api.LogMessage{Sent: true, Exchange: "IKE_SA_INIT", Payloads: "SA KE No", Octets: 296}},
		"2026-11-21 12:00:00.005  (not known yet)  ← IKE_AUTH answer #1  80 octets from 192.0.2.1:4500  dropped:  not authentic": {
			Kind: "dropped", Text: "not authentic", Remote: "192.0.2.1:4500",
			Message: &api.LogMessage{Answer: true, Exchange: "IKE_AUTH", ID: 1, Octets: 80}},
		"2026-11-21 12:00:00.005  hq/2  tunnel down  DPD_TIMEOUT: no answer": {Connection: "hq", Tunnel: "2", Kind: "tunnel down",
			Reason: "DPD_TIMEOUT", Text: "no answer"},
		"2026-11-21 12:00:00.005  hq/2  ike up  ?[31mred": {Connection: "hq", Tunnel: "2", Kind: "ike up", Text: "\x1b[31mred"},
	} {
		e.Time = at
		if got := logLine(e); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// logs -f goes on where it was, and ends with its context.
func TestLogsFollow(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	l, err := api.Listen(socket, "")
	if err != nil {
		t.Skip("the temporary folder's name is too long for a socket: ", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asked atomic.Uint64
	server := api.New(api.Config{Log: slog.New(slog.DiscardHandler), Logs: func(q api.LogQuery) (api.Logs, error) {
		if q.Connection != "hq" || q.Tunnel != "1" || q.After != asked.Load() {
			t.Errorf("asked for %+v after %d answers", q, asked.Load())
		}
		n := asked.Add(1)
		if n == 2 {
			stop()
		}
		return api.Logs{Entries: []api.LogEntry{{ID: n, Connection: "hq", Tunnel: "1", Kind: "ike up"}}, Last: n}, nil
	}})
	ended := make(chan error, 1)
	serving, end := context.WithCancel(t.Context())
	go func() { ended <- server.Run(serving, l) }()
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"--socket", socket, "-o", "json", "logs", "hq/1", "-f"}, nil, &out, &errs); code != 0 {
		t.Errorf("exit code %d: %s", code, &errs)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(out.String(), `{"id":1,`) {
		t.Errorf("got %q", out.String())
	}
}

func TestFailuresTable(t *testing.T) {
	st := tableStatus()
	down := &st.Connections[1].Tunnels[1]
	down.Failure = &api.Failure{Time: tableNow.Add(-4 * time.Second), Reason: "NO_PROPOSAL_IKE", About: api.Ptr("IKE proposal"), Told: true,
		Ours: []string{"aes256gcm16-prfsha384-ecp384"}, Theirs: []string{"aes256-sha256-modp1024"},
		Transforms: []api.Transform{{What: "encryption", Ours: []string{"aes256gcm16"}, Theirs: []string{"aes256 (CBC)"}, Differs: true},
			{What: "integrity", Theirs: []string{"sha256"}}}}
	st.Connections[0].Tunnels[0].Failure = down.Failure
	const want = `
azure-eu/2  NO_PROPOSAL_IKE 4s ago: the IKE proposal
   TRANSFORM   WE           THEY
✗  encryption  aes256gcm16  aes256 (CBC)
   integrity   none         sha256
we:   aes256gcm16-prfsha384-ecp384
they: aes256-sha256-modp1024
`
	st.Connections[0].Tunnels[0].Since = tableNow // what it has overcome is not told
	if got := failures(st, tableNow); got != want {
		t.Errorf("got\n%s", got)
	}
	down.Failure.Told, down.Failure.Theirs = false, nil
	if got := failures(st, tableNow); !strings.Contains(got, "aes256gcm16  not told") || strings.Contains(got, "they:") {
		t.Errorf("got\n%s", got)
	}
}

// F3: what is wrong with who the peer is, and with its certificate, in the same table.
func TestFailuresTableOfIdentities(t *testing.T) {
	st := tableStatus()
	down := &st.Connections[1].Tunnels[1]
	down.Failure = &api.Failure{Time: tableNow.Add(-4 * time.Second), Reason: "ID_MISMATCH", About: api.Ptr("identity"), Told: true,
		Transforms: []api.Transform{
			{What: "hq/1: the peer is", Ours: []string{"gw.example"}, Theirs: []string{"192.0.2.1"}, Differs: true},
			{What: "hq/2: the peer is", Ours: []string{"192.0.2.1"}, Theirs: []string{"192.0.2.1"}},
			{What: "hq/2: we are", Ours: []string{"hub.example"}, Theirs: []string{"bus.example\x1b[2J"}, Differs: true}}}
	const want = `
azure-eu/2  ID_MISMATCH 4s ago: the identity
   WHAT               WE           THEY
✗  hq/1: the peer is  gw.example   192.0.2.1
   hq/2: the peer is  192.0.2.1    192.0.2.1
✗  hq/2: we are       hub.example  bus.example?[2J
`
	if got := failures(st, tableNow); got != want {
		t.Errorf("got\n%s", got)
	}
	down.Failure = &api.Failure{Time: tableNow.Add(-4 * time.Second), Reason: "AUTH_FAILED", About: api.Ptr("certificate"), Told: true,
		Transforms: []api.Transform{
			{What: "method", Ours: []string{"certificate"}, Theirs: []string{"DIGITAL_SIGNATURE"}},
			{What: "certificate 1", Theirs: []string{"subject CN=b", "issuer CN=ca", "valid 2025-01-01 to 2026-01-01"}},
			{What: "authorities", Ours: []string{"CN=ca"}},
			{What: "check", Ours: []string{"trusted certificate"}, Theirs: []string{"it has expired"}, Differs: true}}}
	const wantCertificate = `
azure-eu/2  AUTH_FAILED 4s ago: the certificate
   WHAT           WE                   THEY
   method         certificate          DIGITAL_SIGNATURE
   certificate 1  none                 subject CN=b, issuer CN=ca, valid 2025-01-01 to 2026-01-01
   authorities    CN=ca                none
✗  check          trusted certificate  it has expired
`
	if got := failures(st, tableNow); got != wantCertificate {
		t.Errorf("got\n%s", got)
	}
}
