//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A peer is the daemon at the other end, whatever it is.
type peer interface {
	ikeSAs() (n, halfOpen int, list string, err error)
	story() string // its log
	over() <-chan struct{}
}

// A kernelPeer is a daemon in a guest, whose kernel does ESP.
type kernelPeer struct {
	tree  string   // laid over the guest's root; "" for what the host has installed
	files []string // of the scenario, for the guest
	list  string   // command that lists SAs
	any   *regexp.Regexp
	whole *regexp.Regexp // lines of an IKE SA, and of one that is established
}

var kernelPeers = map[string]kernelPeer{
	"strongswan": {"", []string{"swanctl.conf"}, swanctlInGuest("--list-sas"), regexp.MustCompile(`^\S+: #`), regexp.MustCompile(`ESTABLISHED`)},
	"libreswan": {"libreswan", []string{"ipsec.conf", "ipsec.secrets"}, "whack --showstates",
		regexp.MustCompile(`STATE_V2_(PARENT|ESTABLISHED_IKE_SA)`), regexp.MustCompile(`ESTABLISHED_IKE_SA`)},
	"openiked": {"openiked", []string{"iked.conf"}, "ikectl show sa", regexp.MustCompile(`^iked_sas:`), regexp.MustCompile(`ESTABLISHED`)},
}

// swanctlInGuest is a command line of swanctl in a guest, in the folder that the guest shares.
func swanctlInGuest(args ...string) string {
	return "STRONGSWAN_CONF=strongswan.conf SWANCTL_DIR=$PWD swanctl " + strings.Join(args, " ") + " --uri unix:///run/charon.vici"
}

// A guestDaemon is such a daemon at work.
type guestDaemon struct {
	kernelPeer
	*guest
}

// startKernelPeer boots a guest in place of a host and starts a daemon in it. extra is for charon's settings.
func (s *scenario) startKernelPeer(host, kind, extra string) (*guestDaemon, error) {
	k := kernelPeers[kind]
	files := map[string]string{}
	if kind == "strongswan" {
		files["strongswan.conf"] = charonSettings("kernel-netlink", "/run/charon.vici", s.path("guest-"+host)+"/log", extra)
	}
	for _, name := range k.files {
		text, err := s.file(name)
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	g, err := s.startGuest(host, k.tree, files)
	if err != nil {
		return nil, err
	}
	d := &guestDaemon{k, g}
	if kind == "strongswan" {
		if err := swanctlFolders(g.dir); err != nil {
			return nil, err
		}
	}
	start, err := os.ReadFile(filepath.Join(umlFolder, kind+".sh"))
	if err != nil {
		return nil, err
	}
	_, err = g.run(limitBoot, string(start))
	return d, err
}

func (d *guestDaemon) over() <-chan struct{} { return d.ended }

func (d *guestDaemon) ikeSAs() (n, halfOpen int, list string, err error) {
	list, err = d.run(limitTool, d.list)
	for line := range strings.Lines(list) {
		if d.any.MatchString(line) {
			n++
			if !d.whole.MatchString(line) {
				halfOpen++
			}
		}
	}
	return n, halfOpen, list, err
}

func (d *guestDaemon) story() string {
	var all strings.Builder
	for _, name := range []string{"daemon.out", "log"} {
		if b, err := os.ReadFile(filepath.Join(d.dir, name)); err == nil {
			all.Write(b)
		}
	}
	return all.String()
}

// doKernelPeer starts a peer with a kernel of its own in place of b.
func (s *scenario) doKernelPeer(args []string) error {
	extra, err := s.optional("charon.conf")
	if err != nil {
		return err
	}
	d, err := s.startKernelPeer("b", args[0], extra)
	if err != nil {
		return err
	}
	s.guest, s.peer = d, d
	return nil
}

// needKernelPeer leaves a scenario out that needs a peer which this machine does not have.
func needKernelPeer(s *scenario, args []string) {
	k, ok := kernelPeers[args[0]]
	if !ok {
		s.t.Fatalf("no peer %q", args[0])
	}
	needGuest(s.t, k.tree)
}

func (s *scenario) doInGuest(args []string) error {
	args, limit, err := within(args, 3*limitTool)
	if err != nil {
		return err
	}
	out, err := s.guest.run(limit, strings.Join(args, " "))
	s.t.Logf("in the guest: %s\n%s", strings.Join(args, " "), tail(out, 10))
	return err
}

func (s *scenario) doInGuestUntil(args []string) error {
	args, limit, err := within(args, limitTool)
	if err != nil {
		return err
	}
	return until(limit, func() error {
		_, err := s.guest.run(limitTool, strings.Join(args, " "))
		return err
	})
}
