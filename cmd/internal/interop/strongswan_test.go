//go:build interop

package interop

import (
	"fmt"
	"os"
	"strings"
	"time"
)

const charonPath = "/usr/lib/ipsec/charon"

// userspace is charon with a data path of its own: kernel-libipsec must stand before kernel-netlink, which stays for
// routes and addresses. It always encapsulates in UDP, for which it pretends to be behind a NAT.
const userspace = "kernel-libipsec kernel-netlink"

// charonConf is strongswan.conf.
const charonConf = `swanctl { load = pem pkcs1 pkcs8 x509 pubkey openssl random nonce }
charon {
  load_modular = no
  load = random nonce openssl aes sha1 sha2 hmac kdf gcm ctr chapoly curve25519 gmp drbg pem pkcs1 pkcs8 x509 pubkey constraints vici socket-default @KERNEL@
  filelog { log { path = @LOG@
      default = 1
      ike = 2
      flush_line = yes
      time_format = %H:%M:%S } }
  plugins { vici { socket = unix://@VICI@ }
    kernel-libipsec { load = yes } }
  @EXTRA@
}
`

// A charon is strongSwan's daemon on one host.
type charon struct {
	*process
	lab  *lab
	vici string
	env  []string
	file string // its log
}

// startCharon runs charon with a swanctl.conf and further settings of the section charon, and loads its connections.
func (l *lab) startCharon(host, swanctl, extra string) (*charon, error) {
	dir := l.path("charon-" + host)
	c := &charon{lab: l, vici: dir + "/vici", file: dir + "/log",
		env: []string{"STRONGSWAN_CONF=" + dir + "/strongswan.conf", "SWANCTL_DIR=" + dir}}
	if err := swanctlFolders(dir); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(c.vici); err != nil { // of one that was killed
		return nil, err
	}
	conf := charonSettings(userspace, c.vici, c.file, extra)
	for name, text := range map[string]string{"strongswan.conf": conf, "swanctl.conf": swanctl} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	// Its own /run keeps the pid files of two charons apart; ip netns exec gives each its own mounts.
	var err error
	c.process, err = l.start(host, "charon-"+host, c.env, "sh", "-c", "mount -t tmpfs tmpfs /run && exec "+charonPath)
	if err != nil {
		return nil, err
	}
	if err := c.ready(10*time.Second, func() error { _, err := os.Stat(c.vici); return err }); err != nil {
		return nil, err
	}
	if err := deepenAll(c.cmd.Process.Pid); err != nil {
		return nil, err
	}
	// The device is there before the socket of vici is.
	if _, err := run(limitTool, "ip", "-n", l.ns(host), "link", "set", "ipsec0", "txqueuelen", "5000"); err != nil {
		return nil, err
	}
	_, err = c.swanctl(10*time.Second, "--load-all")
	return c, err
}

// swanctlFolders makes the folders that swanctl looks into.
func swanctlFolders(dir string) error {
	for _, sub := range []string{"x509", "x509ca", "x509aa", "x509ocsp", "x509crl", "x509ac", "pubkey", "private", "rsa", "ecdsa", "bliss", "pkcs8", "pkcs12"} {
		if err := os.MkdirAll(dir+"/"+sub, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// charonSettings is strongswan.conf with its values put in.
func charonSettings(kernel, vici, log, extra string) string {
	return strings.NewReplacer("@KERNEL@", kernel, "@LOG@", log, "@VICI@", vici, "@EXTRA@", extra).Replace(charonConf)
}

// swanctl talks to this charon.
func (c *charon) swanctl(limit time.Duration, args ...string) (string, error) {
	return runWith(limit, c.env, append(append([]string{"swanctl"}, args...), "--uri", "unix://"+c.vici)...)
}

func (c *charon) over() <-chan struct{} { return c.ended }

// ikeSAs counts the IKE SAs that charon has, and those of them that are in any other state than established.
func (c *charon) ikeSAs() (n, halfOpen int, list string, err error) {
	list, err = c.swanctl(5*time.Second, "--list-sas")
	for line := range strings.Lines(list) {
		// "site: #1, ESTABLISHED, IKEv2, …" is an IKE SA; the lines of its parts are indented.
		if !strings.HasPrefix(line, " ") && strings.Contains(line, ": #") {
			n++
			if !strings.Contains(line, "ESTABLISHED") {
				halfOpen++
			}
		}
	}
	return n, halfOpen, list, err
}

// story is charon's own account.
func (c *charon) story() string {
	b, err := os.ReadFile(c.file)
	if err != nil {
		return fmt.Sprintf("%v\n%s", err, c.output())
	}
	return c.output() + string(b)
}
