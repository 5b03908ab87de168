package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"testing"

	"twinbore/cmd/internal/api"
)

func TestMTUPrintsTheSum(t *testing.T) { // F7
	around := []api.Overhead{{What: "IPv4 header", Octets: 20}, {What: "ESP header", Octets: 8}}
	measured := func(tunnel string, n int, refused *api.Refused) api.TunnelMeasured {
		return api.TunnelMeasured{Tunnel: tunnel, PathMTU: 1500, Around: around, InnerMTU: 1472, Suite: "aes256gcm16", Measured: &n, Outer: api.Ptr(n + 28), Refused: refused}
	}
	var asked api.MTUQuery
	answer := api.Measured{Connection: "hq", Target: "10.2.0.1", Tunnels: []api.TunnelMeasured{
		measured("1", 1472, nil), measured("2", 1300, nil), measured("3", 1280, &api.Refused{By: "10.2.9.9", MTU: api.Ptr(1280)}),
		{Tunnel: "4", Error: api.Ptr("the tunnel is down")},
	}}
	socket := serveAPI(t, api.Config{MTU: func(_ context.Context, q api.MTUQuery) (api.Measured, error) {
		asked = q
		return answer, nil
	}})
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"mtu", "--socket", socket, "-i", "hq", "--from", "10.1.0.1", "10.2.0.1"}, nil, &out, &errs)
	sum := `
  outer packet               1500
  IPv4 header                 -20
  ESP header                   -8
  inner packet               1472  aes256gcm16
`
	want := "hq/1 to 10.2.0.1" + sum + `  measured                   1472  the path takes it

hq/2 to 10.2.0.1` + sum + `  measured                   1300  larger ones are lost, or come in pieces; datapath: {tun: {mtu: 1300}} keeps all below that

hq/3 to 10.2.0.1` + sum + `  measured                   1280  10.2.9.9 takes no more, and says so: nothing is to be done

hq/4 to 10.2.0.1
  not measured: the tunnel is down
`
	if out.String() != want || code != 0 {
		t.Errorf("exit code %d, %s\n%s\nwant\n%s", code, &errs, &out, want)
	}
	if want := (api.MTUQuery{Connection: "hq", Target: netip.MustParseAddr("10.2.0.1"), From: netip.MustParseAddr("10.1.0.1")}); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}

	out.Reset()
	var got api.Measured
	code = run(t.Context(), []string{"mtu", "--socket", socket, "-i", "hq/1", "-o", "json", "10.2.0.1"}, nil, &out, &errs)
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || code != 0 || *got.Tunnels[1].Outer != 1328 || asked.Tunnel != "1" {
		t.Errorf("exit code %d, %v, %s", code, err, &out)
	}
	answer.Tunnels = answer.Tunnels[3:]
	if code := run(t.Context(), []string{"mtu", "--socket", socket, "-i", "hq", "10.2.0.1"}, nil, &out, &errs); code != exitError {
		t.Errorf("nothing measured: exit code %d", code)
	}
}
