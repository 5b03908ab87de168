package daemon

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/pkitest"
	"twinbore/config"
	"twinbore/tunnel/simnet"
)

// disk is the host's file system under absolute names.
type disk struct{}

func (disk) Open(name string) (fs.File, error) { return os.Open(name) }

// A pki is a folder with what an authority made for two gateways: ca.pem, left.pem, left.key, right.pem, right.key.
type pki struct {
	dir         string
	ca          *pkitest.Authority
	left, right pkitest.Identity
}

func newPKI(t *testing.T) pki {
	p := pki{dir: t.TempDir(), ca: pkitest.New(t, "ca", "ecp256")}
	p.ca.WriteCert(t, p.file("ca.pem"))
	p.left, p.right = p.issue(t, "left", pkitest.Request{}), p.issue(t, "right", pkitest.Request{})
	return p
}

func (p pki) file(name string) string { return filepath.Join(p.dir, name) }

// issue makes NAME.pem and NAME.key for NAME.example.
func (p pki) issue(t *testing.T, name string, r pkitest.Request) pkitest.Identity {
	r.Name, r.Hosts = name, []string{name + ".example"}
	i := p.ca.Issue(t, r)
	i.WriteCert(t, p.file(name+".pem"))
	i.WriteKey(t, p.file(name+".key"))
	return i
}

// certConfig is a configuration with certificates: PKI stands for the folder.
const certConfig = `
gateway:
  name: left
  outside: {address: 192.0.2.10}
  networks: [10.1.0.0/16]
  secrets: {dir: PKI}
connections:
  - name: hq
    routing: static
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [10.2.0.0/16]
    auth: certificate
    certificate: {cert: left.pem, key: {file: left.key}, ca: [ca.pem]}
    tunnels:
      - {remote: 198.51.100.1, local_id: left.example, remote_id: right.example}
      - {remote: 198.51.100.2, local_id: "O=Example, CN=left", remote_id: "O=Example, CN=right"}
`

// certRight is the other end, which takes its peer at any address.
var certRight = strings.NewReplacer("name: left", "name: right", "outside: {address: 192.0.2.10}", "outside: {address: [198.51.100.1, 198.51.100.2]}",
	"  networks: [10.1.0.0/16]", "  networks: [10.2.0.0/16]", "name: hq", "name: branch\n    role: cloud\n    start: wait", "[10.2.0.0/16]", "[10.1.0.0/16]",
	"left.pem", "right.pem", "left.key", "right.key", "remote: 198.51.100.1", "remote: any", "remote: 198.51.100.2", "remote: any",
	"left.example", "right.example", "right.example", "left.example", "CN=left", "CN=right", "CN=right", "CN=left").Replace(certConfig)

// load writes a configuration beside the certificates and reads it.
func (p pki) load(t *testing.T, text string) *config.Config {
	t.Helper()
	text = strings.ReplaceAll(text, "PKI", p.dir)
	if err := os.WriteFile(p.file("f.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(disk{}, nil, p.file("f.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// What is wrong with certificates is said with its place, and what to do (AUT-04, SEC-01).
func TestCertificateProblems(t *testing.T) {
	p := newPKI(t)
	other := pkitest.New(t, "other", "")
	other.WriteCert(t, p.file("other.pem"))
	p.issue(t, "old", pkitest.Request{NotAfter: time.Now().Add(-time.Hour)})
	p.issue(t, "late", pkitest.Request{NotAfter: time.Now().Add(time.Hour)})
	p.ca.WriteCRL(t, p.file("over.crl"), time.Now().Add(-time.Hour))
	p.ca.WriteCRL(t, p.file("good.crl"), time.Now().Add(time.Hour))
	for name, text := range map[string]string{"empty.pem": "", "junk.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if err := os.WriteFile(p.file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.left.WriteKey(t, p.file("open.key"))
	p.left.WriteCert(t, p.file("loose.pem"))
	for name, mode := range map[string]os.FileMode{"open.key": 0o644, "loose.pem": 0o666} {
		if err := os.Chmod(p.file(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ from, to, want string }{
		{"", "", ""},
		{"ca: [ca.pem]", "ca: [ca.pem, other.pem], crl: [good.crl]", ""},
		{"cert: left.pem", "cert: absent.pem", "f.yaml:13:25: connections[0].certificate.cert: PKI/absent.pem: no such file or directory"},
		{"cert: left.pem", "cert: empty.pem", "certificate.cert: PKI/empty.pem: certificate: the file is neither PEM nor DER of one"},
		{"cert: left.pem", "cert: junk.pem", "certificate.cert: PKI/junk.pem: certificate 1 of the file: "},
		{"cert: left.pem", "cert: left.key", "certificate.cert: PKI/left.key: certificate: there is none in the file; it has a line"},
		{"cert: left.pem", "cert: loose.pem", "certificate.cert: PKI/loose.pem: has mode 0666: others can change it; chmod go-w"},
		{"file: left.key", "file: right.key", "f.yaml:13:40: connections[0].certificate.key: certificate and private key do not belong together (the certificate has another public key); give the key"},
		{"file: left.key", "file: absent.key", "certificate.key: file absent.key: PKI/absent.key: no such file"},
		{"file: left.key", "file: open.key", "certificate.key: file open.key: has mode 0644: others can read or change it; chmod 600"},
		{"file: left.key", "file: left.pem", "certificate.key: file left.pem: "},
		{"left.pem, key: {file: left.key}", "old.pem, key: {file: old.key}", "warning: connections[0].certificate.cert: our certificate O=Example, CN=old has expired on "},
		{"left.pem, key: {file: left.key}", "late.pem, key: {file: late.key}", "warning: connections[0].certificate.cert: our certificate O=Example, CN=late expires on "},
		{"ca: [ca.pem]", "ca: [absent.pem]", "certificate.ca[0]: PKI/absent.pem: no such file"},
		{"ca: [ca.pem]", "ca: [ca.pem], crl: [ca.pem]", "certificate.crl[0]: PKI/ca.pem: revocation list: there is none in the file"},
		{"ca: [ca.pem]", "ca: [ca.pem], crl: [over.crl]", "warning: connections[0].certificate.crl[0]: the revocation list of O=Example, CN=ca was to be replaced on "},
		{"ca: [ca.pem]", "ca: [other.pem], crl: [good.crl]", "warning: connections[0].certificate.crl[0]: the revocation list of O=Example, CN=ca is of none of the authorities in ca"},
		{"local_id: left.example", "local_id: 192.0.2.10", "f.yaml:15:42: connections[0].tunnels[0].local_id: our own certificate: the certificate does not name 192.0.2.10, it has subject O=Example, CN=left, host left.example; an identity must"},
		{`remote_id: "O=Example, CN=right"`, `remote_id: "O=Example, XX=right"`, "connections[0].tunnels[1].remote_id: identity"},
	} {
		cfg := p.load(t, strings.Replace(certConfig, c.from, c.to, 1))
		var got []string
		for _, problem := range CheckCertificates(t.Context(), cfg, time.Now()) {
			got = append(got, strings.ReplaceAll(strings.TrimPrefix(problem.String(), p.dir+"/"), p.dir, "PKI"))
		}
		all := strings.Join(got, "\n")
		switch {
		case c.want == "" && all != "":
			t.Errorf("%s: found\n%s", c.to, all)
		case !strings.Contains(all, c.want):
			t.Errorf("%s: found\n%s\nwant\n%s", c.to, all, c.want)
		}
	}
}

// A certificate connection comes up between two gateways, the responder taking its peer at any address (R55, R60).
func TestTunnelsWithCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPKI(t) // its time is that of the bubble
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		r, run := buildFrom(t, net, p.load(t, certRight), nil)
		run()
		l, run := buildFrom(t, net, p.load(t, certConfig), nil)
		run()
		l.want("1: UP UP", 2*time.Second)
		r.want("1: UP UP", 2*time.Second)
		if !l.send(r, 1) || !r.send(l, 2) {
			t.Error("no traffic")
		}
		for i, want := range []string{"left.example right.example", "O=Example, CN=left O=Example, CN=right"} {
			ike := l.connection().Tunnels[i].IKE
			if got := ike.LocalID + " " + ike.RemoteID; got != want || ike.Secret != nil {
				t.Errorf("tunnel %d is between %s, by key %v", i+1, got, ike.Secret)
			}
		}
	})
}

// SEC-04: certificates that cannot be loaded stop their own tunnels, with a reason, and not the gateway.
func TestGatewayWithoutItsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPKI(t)
		cfg := p.load(t, strings.Replace(certConfig, "cert: left.pem", "cert: absent.pem", 1))
		net := simnet.New(1)
		t.Cleanup(net.Close)
		s, run := buildFrom(t, net, cfg, nil)
		run()
		time.Sleep(time.Second)
		for _, tunnel := range s.connection().Tunnels {
			if tunnel.Reason != "SECRET_UNAVAILABLE" || !strings.Contains(tunnel.Hint, "absent.pem: no such file") {
				t.Errorf("tunnel %s: %s: %s", tunnel.Name, tunnel.Reason, tunnel.Hint)
			}
		}
		if !strings.Contains(s.log.String(), "absent.pem: no such file") {
			t.Errorf("the log does not say why:\n%s", s.log)
		}
	})
}

// R58, F5: while a key is being changed the status of each end says which one is used.
func TestStatusSaysWhichKeyIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, strings.Replace(rightConfig, `psk: {inline: "the key of tunnel one"}`,
			`psk: {current: {inline: "the new key of tunnel one"}, previous: {inline: "the key of tunnel one"}}`, 1), nil)
		left := open(t, net, strings.Replace(leftConfig, `psk: {inline: "the key of tunnel two"}`,
			`psk: {current: {inline: "the new key of tunnel two"}, previous: {inline: "the key of tunnel two"}}`, 1), nil)
		left.want("1: UP UP", 3*time.Second)
		right.want("1: UP UP", 3*time.Second)
		for _, c := range []struct {
			at   *site
			want string
		}{{left, "current previous"}, {right, "previous current"}} {
			tunnels := c.at.connection().Tunnels
			if got := *tunnels[0].IKE.Secret + " " + *tunnels[1].IKE.Secret; got != c.want {
				t.Errorf("%s: %s, want %s", c.at.connection().Name, got, c.want)
			}
		}
	})
}
