package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A found case is one thing that can be wrong with the files that a configuration names, and how to make it so.
type foundCase struct {
	name    string
	setting string // of the second tunnel, or of the certificate
	prepare func(t *testing.T, dir string)
}

// put writes a file of this mode, whatever the umask.
func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// with prepares one file.
func with(name, text string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) { put(t, filepath.Join(dir, name), text, mode) }
}

// owned prepares a file of somebody else's, which only root can.
func owned(name string, uid, gid int, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		with(name, strong, mode)(t, dir)
		if err := os.Chown(filepath.Join(dir, name), uid, gid); err != nil {
			t.Skip("the golden file needs root: ", err)
		}
	}
}

const strong = "Zk3.vQ9_pLw7TmX2cRb8YhN5sDf4Gj61"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// SEC-01, SEC-02, AUT-13: what check says of secrets in each form.
var secretCases = []foundCase{
	{"good", "{file: a.psk}", with("a.psk", strong+"\n", 0o600)},
	{"readable by all", "{file: a.psk}", with("a.psk", strong, 0o644)},
	{"writable by the group", "{file: a.psk}", with("a.psk", strong, 0o620)},
	{"of a foreign owner", "{file: a.psk}", owned("a.psk", 12345, 0, 0o600)},
	{"of a foreign group", "{file: a.psk}", owned("a.psk", 0, 12345, 0o440)},
	{"a link", "{file: a.psk}", func(t *testing.T, dir string) {
		put(t, filepath.Join(dir, "b.psk"), strong, 0o600)
		must(t, os.Symlink("b.psk", filepath.Join(dir, "a.psk")))
	}},
	{"a pipe", "{file: a.psk}", func(t *testing.T, dir string) { must(t, syscall.Mkfifo(filepath.Join(dir, "a.psk"), 0o600)) }},
	{"a folder", "{file: a.psk}", func(t *testing.T, dir string) { must(t, os.Mkdir(filepath.Join(dir, "a.psk"), 0o700)) }},
	{"a device", "{file: /dev/null}", nil},
	{"a socket", "{file: a.psk}", func(t *testing.T, dir string) {
		must(t, syscall.Mknod(filepath.Join(dir, "a.psk"), syscall.S_IFSOCK|0o600, 0))
	}},
	{"in a folder open to all", "{file: a.psk}", func(t *testing.T, dir string) {
		put(t, filepath.Join(dir, "a.psk"), strong, 0o600)
		must(t, os.Chmod(dir, 0o777))
	}},
	{"absent", "{file: a.psk}", nil},
	{"outside the folder", "{file: ../a.psk}", nil},
	{"empty", "{file: a.psk}", with("a.psk", "\n", 0o600)},
	{"short", "{file: a.psk}", with("a.psk", "secret7", 0o600)},
	{"long", "{file: a.psk}", with("a.psk", strings.Repeat("x", 5000), 0o600)},
	{"very long", "{file: a.psk}", with("a.psk", strings.Repeat("x", 50000), 0o600)},
	{"of two lines", "{file: a.psk}", with("a.psk", strong+"\n"+strong+"\n", 0o600)},
	{"a web page", "{file: a.psk}", with("a.psk", "<!DOCTYPE html><title>502</title>", 0o600)},
	{"no hexadecimal", "{file: a.psk, encoding: hex}", with("a.psk", strong, 0o600)},
	{"no base64", "{file: a.psk, encoding: base64}", with("a.psk", strong, 0o600)},
	{"weak", "{file: a.psk}", with("a.psk", "correct horse", 0o600)},
	{"with zeros at its end", "{file: a.psk, encoding: hex}", with("a.psk", strings.Repeat("a1b2c3d4", 5)+"00", 0o600)},
	{"weak, inline", `{inline: "correct horse"}`, nil},
	{"a variable that is not set", "{env: TWINBORE_TEST_NO_SUCH}", nil},
	{"a credential without systemd", "{credential: a}", nil},
	{"a credential in a folder", "{credential: a}", func(t *testing.T, dir string) { t.Setenv("CREDENTIALS_DIRECTORY", dir) }},
	{"a command that is not there", "{exec: [/nowhere/print-it]}", nil},
	{"a command that is", "{exec: [/bin/false]}", nil},
	{"to be made", "{generate: true}", nil},
}

// SEC-01: what check says of certificates and their keys.
var certificateCases = []foundCase{
	{"good", "", nil},
	{"its key readable by all", "", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "gw.key"), 0o644)) }},
	{"its key in a variable", "key: {env: TWINBORE_TEST_NO_SUCH}", nil},
	{"its key another's", "", func(t *testing.T, dir string) { writeKeyPEM(t, filepath.Join(dir, "gw.key"), newKey(t)) }},
	{"no key", "", with("gw.key", "canary", 0o600)},
	{"no certificate", "", with("gw.pem", "canary", 0o644)},
	{"that others can change", "", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "gw.pem"), 0o666)) }},
	{"too long", "", with("gw.pem", strings.Repeat("x", 300<<10), 0o644)},
	{"absent", "ca: [absent.pem]", nil},
	{"over", "", func(t *testing.T, dir string) { pki(t, dir, -2*time.Hour, -time.Hour, time.Hour) }},
	{"to come", "", func(t *testing.T, dir string) { pki(t, dir, time.Hour, 30*24*time.Hour, time.Hour) }},
	{"soon over", "", func(t *testing.T, dir string) { pki(t, dir, -time.Hour, 24*time.Hour, time.Hour) }},
	{"whose authority is over", "ca: [ca.pem, old.pem]", func(t *testing.T, dir string) {
		key := newKey(t)
		old := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Old"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		der, err := x509.CreateCertificate(rand.Reader, old, old, key.Public(), key)
		must(t, err)
		put(t, filepath.Join(dir, "old.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	}},
	{"with a list that is old", "crl: [ca.crl]", func(t *testing.T, dir string) { pki(t, dir, -time.Hour, 30*24*time.Hour, -time.Minute) }},
	{"with a list of another", "crl: [other.crl]", func(t *testing.T, dir string) {
		other := t.TempDir()
		pkiOf(t, other, "another authority", -time.Hour, 30*24*time.Hour, time.Hour)
		b, err := os.ReadFile(filepath.Join(other, "ca.crl"))
		must(t, err)
		put(t, filepath.Join(dir, "other.crl"), string(b), 0o644)
	}},
	{"with no list", "crl: [gw.pem]", nil},
	{"with names that it has not", "local: other.example", nil},
	{"with a name that is none", "local: CN==", nil},
	{"whose peer's name is none", "remote: CN==", nil},
	{"that signs others", "cert: ca.pem", nil},
}

// unreachable are texts that a configuration cannot bring about: reading it refuses what would.
var unreachable = map[string]string{
	"%v: only a pre-shared key can be generated": "config refuses generate for a key of a certificate",
	"%v: no command": "an empty exec is no reference",
	"the name of a credential has no folder in it": "config refuses such a name",
	"not supported yet":                            "config refuses the services by name",
	"a relative name needs gateway.secrets.dir":    "the folder has a default and is absolute",
	"unknown encoding %q":                          "config knows the three",
}

func TestMessagesOfSecrets(t *testing.T) {
	golden(t, "testdata/secrets.golden", secretCases, func(c foundCase) string {
		return `gateway: {networks: [10.20.0.0/16], secrets: {dir: DIR}}
connections:
  - name: office
    routing: static
    remote_networks: [10.30.0.0/16]
    tunnels:
      - {remote: 198.51.100.21, psk: {file: good.psk}}
      - {remote: 198.51.100.87, psk: ` + c.setting + `}
`
	})
	sayEverything(t, "testdata/secrets.golden", "../../config/secret/file.go", "../../config/secret/resolve.go", "../../config/secret/weakness.go", "check.go")
}

func TestMessagesOfCertificates(t *testing.T) {
	golden(t, "testdata/certificates.golden", certificateCases, func(c foundCase) string {
		keys := map[string]string{"cert": "gw.pem", "key": "{file: gw.key}", "ca": "[ca.pem]", "crl": "[]", "local": "gw.example", "remote": "hq.example"}
		if key, value, ok := strings.Cut(c.setting, ": "); ok {
			keys[key] = value
		}
		return `gateway: {networks: [10.20.0.0/16], secrets: {dir: DIR}}
connections:
  - name: office
    routing: static
    remote_networks: [10.30.0.0/16]
    auth: certificate
    certificate: {cert: ` + keys["cert"] + ", key: " + keys["key"] + ", ca: " + keys["ca"] + ", crl: " + keys["crl"] + `}
    tunnels:
      - {remote: 198.51.100.21, remote_id: hq.example, local_id: ` + keys["local"] + `}
      - {remote: 198.51.100.87, remote_id: ` + keys["remote"] + `}
`
	})
	sayEverything(t, "testdata/certificates.golden", "../../cmd/internal/daemon/certificate.go", "../../config/secret/guarded.go")
}

// golden runs check for each case and compares everything that it says.
func golden(t *testing.T, name string, cases []foundCase, file func(foundCase) string) {
	t.Helper()
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	var out strings.Builder
	for _, c := range cases {
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o755))
		put(t, filepath.Join(dir, "good.psk"), strong+"\n", 0o600)
		pki(t, dir, -time.Hour, 30*24*time.Hour, time.Hour)
		conf := filepath.Join(dir, "f.yaml")
		if strings.Contains(name, "secrets") { // elsewhere than the secrets, whose folder is spoilt
			conf = filepath.Join(t.TempDir(), "f.yaml")
		}
		put(t, conf, strings.ReplaceAll(file(c), "DIR", dir), 0o600)
		if c.prepare != nil {
			c.prepare(t, dir)
		}
		var said bytes.Buffer
		code := run(t.Context(), []string{"check", conf}, nil, &said, &said)
		text := strings.ReplaceAll(strings.ReplaceAll(said.String(), conf, "DIR/f.yaml"), dir, "DIR")
		text = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:]+Z`).ReplaceAllString(text, "TIME")
		fmt.Fprintf(&out, "%s: exit code %d\n\t%s\n\n", c.name, code, strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n\t"))
		for _, canary := range []string{"canary", strong, "correct horse", "a1b2c3d4"} {
			if strings.Contains(text, canary) {
				t.Errorf("SEC-02: %s: the secret is shown: %s", c.name, text)
			}
		}
		os.Chmod(dir, 0o755)
	}
	if *update {
		must(t, os.WriteFile(name, []byte(out.String()), 0o644))
		return
	}
	want, err := os.ReadFile(name)
	must(t, err)
	if out.String() != string(want) {
		t.Errorf("%s: rewrite with -update and read the difference; got\n%s", name, &out)
	}
}

// sayEverything fails for each text in the sources that may become a message and that the golden file has not.
func sayEverything(t *testing.T, name string, sources ...string) {
	t.Helper()
	said, err := os.ReadFile(name)
	must(t, err)
	verb := regexp.MustCompile(`%[-+#0-9]*[a-zA-Z]`)
	for _, source := range sources {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, source, nil, 0)
		must(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.KeyValueExpr); ok { // the command's own help
				if key, ok := lit.Key.(*ast.Ident); ok && (key.Name == "Long" || key.Name == "Short" || key.Name == "Use") {
					return false
				}
			}
			if call, ok := n.(*ast.CallExpr); ok {
				if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "BoolVar" {
					return false
				}
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, _ := strconv.Unquote(lit.Value)
			if !strings.Contains(strings.Trim(text, " ;:"), " ") || unreachable[text] != "" {
				return true
			}
			parts := verb.Split(text, -1)
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			if !regexp.MustCompile(strings.Join(parts, ".*")).Match(said) {
				t.Errorf("%s: no case in %s says %q: add one", files.Position(lit.Pos()), name, text)
			}
			return true
		})
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func writeKeyPEM(t *testing.T, path string, key crypto.Signer) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	put(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
}

// pki writes an authority, its revocation list and a certificate of gw.example with its key.
func pki(t *testing.T, dir string, from, until, nextList time.Duration) {
	t.Helper()
	pkiOf(t, dir, "Example", from, until, nextList)
}

func pkiOf(t *testing.T, dir, name string, from, until, nextList time.Duration) {
	t.Helper()
	now := time.Now()
	caKey, key := newKey(t), newKey(t)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-100 * time.Hour), NotAfter: now.Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(t, err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "gw"}, DNSNames: []string{"gw.example"},
		NotBefore: now.Add(from), NotAfter: now.Add(until), KeyUsage: x509.KeyUsageDigitalSignature}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	must(t, err)
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(nextList)}, ca, caKey)
	must(t, err)
	write := func(name, kind string, der []byte) {
		put(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})), 0o644)
	}
	write("ca.pem", "CERTIFICATE", caDER)
	write("gw.pem", "CERTIFICATE", leafDER)
	write("ca.crl", "X509 CRL", list)
	writeKeyPEM(t, filepath.Join(dir, "gw.key"), key)
}
