package daemon

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
)

// rowsOf is a failure in short: what it is about, and which rows differ.
func rowsOf(f *api.Failure) string {
	if f == nil || f.About == nil {
		return "none"
	}
	text := *f.About
	for _, r := range f.Transforms {
		if r.Differs {
			text += "; " + r.What + ": " + strings.Join(r.Ours, ", ") + " | " + strings.Join(r.Theirs, ", ")
		}
	}
	return text
}

// F3: of a peer that could be either of two tunnels, and is neither, both say why; a tunnel that is up says nothing.
func TestEachCandidateSaysWhyItIsNotThePeer(t *testing.T) {
	const both = `
gateway:
  name: right
  outside: {address: 198.51.100.1}
  networks: [10.2.0.0/16]
connections:
  - name: branch
    role: cloud
    start: wait
    routing: static
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [10.1.0.0/16]
    tunnels:
      - {local: 198.51.100.1, remote: one.example, remote_id: "fqdn:one", inside: 169.254.1.1/30, psk: {inline: "the key of tunnel one"}}
      - {local: 198.51.100.1, remote: two.example, remote_id: "fqdn:two", inside: 169.254.2.1/30, psk: {inline: "the key of tunnel two"}}
`
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, both, nil)
		site := func(address, name string) *site {
			text := strings.NewReplacer("192.0.2.10", address, "remote: 198.51.100.1,", `remote: 198.51.100.1, remote_id: 198.51.100.1, local_id: "`+name+`",`).Replace(leftConfig)
			return open(t, net, text, nil)
		}
		site("192.0.2.10", "fqdn:one")
		stranger := site("192.0.2.11", "fqdn:three")
		time.Sleep(3 * time.Second)
		right.want("1: UP DOWN", time.Second)
		for i, want := range []string{"none", "identity; branch/1: the peer is: one | three; branch/2: the peer is: two | three"} {
			if got := rowsOf(right.connection().Tunnels[i].Failure); got != want {
				t.Errorf("tunnel %d of the right shows %q, want %q", i+1, got, want)
			}
		}
		if down := right.connection().Tunnels[1]; down.Reason != "ID_MISMATCH" {
			t.Errorf("tunnel 2 is down for %s: %s", down.Reason, down.Hint)
		}
		if f := stranger.connection().Tunnels[0].Failure; f == nil || f.Told || *f.About != "identity" || f.Transforms[0].Ours[0] != "three" {
			t.Errorf("the stranger shows %+v", f)
		}
	})
}

// F3, SEC-02: keys that differ are named and not shown.
func TestKeysThatDifferAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		right := open(t, net, rightConfig, nil)
		open(t, net, strings.Replace(leftConfig, "the key of tunnel one", "the key of nobody", 1), nil)
		time.Sleep(3 * time.Second)
		if got := rowsOf(right.connection().Tunnels[0].Failure); got != "pre-shared key; pre-shared key: current | another one" {
			t.Errorf("the right shows %q", got)
		}
	})
}
