package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad (SEC-05): whatever stands in a file, loading it ends, and either gives a configuration that keeps its
// promises or says where it is wrong.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("../testdata/examples/*.yaml")
	for _, file := range append(files, "testdata/full.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, text := range []string{base, gate("asn: ${env:A}"), tun("psk: {current: {env: A}, previous: null}"), conn("bgp: {med: {1: 2}}"), "a: *b", "? [x]\n: y", "{\"a\": [\"\\u0000\"]}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := load(text)
		if err != nil {
			found, ok := errors.AsType[Problems](err)
			if !ok || found.Count(Error) == 0 || c != nil || err.Error() == "" {
				t.Fatalf("refused with %#v and %v", err, c)
			}
			return
		}
		for _, conn := range c.Connections {
			if conn.Name == "" || len(conn.IKE) == 0 || len(conn.ESP) == 0 || len(conn.Tunnels) == 0 || len(conn.LocalTS()) == 0 || len(conn.RemoteTS()) == 0 {
				t.Fatalf("incomplete: %+v", conn)
			}
			for _, tun := range conn.Tunnels {
				if tun.Name == "" || tun.Remote.String() == "" || tun.PSK.Current.IsZero() && conn.Auth == AuthPSK || tun.Inside.IsValid() != tun.PeerInside.IsValid() {
					t.Fatalf("incomplete: %+v", tun)
				}
			}
			if cert := conn.Certificate; conn.Auth == AuthCertificate && (cert.Cert == "" || cert.Key.IsZero() || len(cert.CA) == 0) {
				t.Fatalf("incomplete: %+v", cert)
			}
			if _, ok := c.Domain(conn.Domain); !ok {
				t.Fatalf("domain %q of %q is not there", conn.Domain, conn.Name)
			}
		}
	})
}
