package ikev2

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"twinbore/ike/auth"
	"twinbore/ike/session"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// TestTranscripts plays the scripts in testdata and compares everything that was said and done.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "collide-") {
			continue // TestCollisionMatrix plays them
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(text), "----\n")
			got := play(t, script)
			if *update {
				if err := os.WriteFile(file, []byte(script+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("%s went otherwise (rewrite with go test ./ike/ikev2 -run Transcripts -update, then read the difference)\ngot:\n%s\nwant:\n%s", file, got, want)
			}
			if again := play(t, script); again != got {
				t.Errorf("%s: a second run went otherwise:\n%s", file, again)
			}
		})
	}
}

// play runs a script and returns its transcript. Two commands joined by "|" happen before either is heard of.
func play(t *testing.T, script string) string {
	l := newLab(t)
	if err := l.script(script); err != nil {
		t.Fatal(err)
	}
	return l.transcript()
}

// transcript is all that was said and done, and what is left.
func (l *lab) transcript() string {
	return l.log.String() + fmt.Sprintf("end    %s\n", l.state())
}

// command does one line of a script.
func (l *lab) command(f []string) error {
	side := func(i int) *gateway {
		if len(f) > i && f[i] == "b" {
			return l.b
		}
		return l.a
	}
	switch f[0] {
	case "set": // set a ike=… esp=…
		for _, setting := range f[2:] {
			if err := l.set(side(1), setting); err != nil {
				return err
			}
		}
	case "learn": // like set, and what is there already knows it too
		for _, setting := range f[2:] {
			if err := l.set(side(1), setting); err != nil {
				return err
			}
		}
		for _, s := range side(1).sessions {
			s.(*peer).cfg = side(1).cfg
		}
	case "established":
		l.initiate(l.a)
		l.settle()
		l.log.Reset()
		l.paired()
	case "initiate":
		if len(f) == 4 { // initiate a 10.0.1.7/32 10.0.2.9/32: for a packet between these
			l.initiateFor(side(1), prefixes(f[2]), prefixes(f[3]))
			return nil
		}
		l.initiate(side(1))
	case "rekey-child":
		l.do(side(1), session.Rekey{})
	case "rekey-ike":
		l.do(side(1), session.Rekey{IKE: true})
	case "new-child": // though there is one
		l.onSA(side(1), func(s *SA) { s.askChild(l.now, opNewChild, nil, s.firstChildGroup(), 0) })
	case "delete-child":
		l.onSA(side(1), func(s *SA) {
			s.children[0].state = childDeleting
			s.want(l.now, task{opDeleteChild, s.children[0].id})
		})
	case "forget-child": // without a word to the peer
		l.onSA(side(1), func(s *SA) { s.drop(l.now, s.children[0]) })
	case "lose": // the message of this number, counted from here in the order of their arrival
		l.taken = 0
		_, err := fmt.Sscan(f[1], &l.lose)
		return err
	case "close":
		l.do(side(1), session.Close{})
	case "probe":
		l.do(side(1), session.Probe{})
	case "forget": // the gateway's process starts anew
		g := side(1)
		fresh := newGateway(l.t, g.name, g.addr.As4()[3])
		fresh.cfg.IKE, fresh.cfg.ESP = g.cfg.IKE, g.cfg.ESP
		*g = *fresh
	case "traffic": // packets arrive on every Child SA that is in use
		l.traffic()
	case "deliver":
		if f[1] == "all" {
			l.settle()
			return nil
		}
		l.deliver(side(1))
	case "nat": // nat a 203.0.113.9:1024: a seems to be there from now on
		at, err := netip.ParseAddrPort(f[2])
		side(1).seenAs = at
		return err
	case "address": // address a 192.0.2.77: a has another address, and knows it
		at, err := netip.ParseAddr(f[2])
		if err != nil {
			return err
		}
		side(1).addr = at
		l.do(side(1), session.PathChanged{Local: at})
	case "packet": // packet a: b's data path has the newest packet of all of a's, from where a seems to be
		g, far := side(1), l.other(side(1))
		path := g.sa().path
		for _, c := range far.sa().children {
			l.do(far, session.PathSeen{Child: c.id, Path: far.behind(g.seenFrom(path))})
		}
	case "drop":
		d := l.take(side(1))
		l.logf("lost: %d octets from %s", len(d.Bytes), side(1).name)
	case "repeat": // the oldest message arrives twice
		g := side(1)
		g.queue = append(g.queue[:1:1], g.queue...)
		l.deliver(g)
		l.deliver(g)
	case "late": // the message after it arrives first
		g := side(1)
		g.queue[0], g.queue[1] = g.queue[1], g.queue[0]
		l.deliver(g)
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err
		}
		l.wait(d, func() {
			switch {
			case len(f) == 2:
				l.settle()
			case f[2] == "deaf": // nothing arrives; "hold" keeps it all for later
				l.a.queue, l.b.queue = nil, nil
			}
		})
	default:
		return l.operate(f)
	}
	return nil
}

// onSA does to g's IKE SA what no command asks for.
func (l *lab) onSA(g *gateway, do func(*SA)) {
	s := g.sa()
	do(s)
	l.apply(g, s.p, s.p.finish())
}

func (l *lab) set(g *gateway, setting string) error {
	key, value, _ := strings.Cut(setting, "=")
	switch key {
	case "ike":
		g.cfg.IKE = ikeProposals(l.t, strings.Split(value, ",")...)
	case "esp":
		g.cfg.ESP = espProposals(l.t, strings.Split(value, ",")...)
	case "local":
		g.cfg.Local = prefixes(strings.Split(value, ",")...)
	case "remote":
		g.cfg.Remote = prefixes(strings.Split(value, ",")...)
	case "psk":
		g.cfg.Auth.Secrets = []auth.Secret{{Peer: g.cfg.Peer, Key: []byte(value)}}
	case "keys": // the newest first
		g.cfg.Auth.Secrets = nil
		for i, key := range strings.Split(value, ",") {
			g.cfg.Auth.Secrets = append(g.cfg.Auth.Secrets, auth.Secret{Peer: g.cfg.Peer, Key: []byte(key), Name: [...]string{"current", "previous"}[i]})
		}
	case "cert":
		l.certify(g, value)
	case "trust":
		g.certs().Trust = trustIn(l.t, value, false)
	case "crl":
		g.certs().Trust = trustIn(l.t, value, true)
	case "id":
		id, err := auth.ParseID(value)
		g.cfg.LocalID = id
		return err
	case "remote-id":
		id, err := auth.ParseID(value)
		g.cfg.RemoteID = id
		return err
	case "encap":
		g.cfg.Encap = map[string]Encap{"auto": EncapAuto, "always": EncapAlways, "never": EncapNever}[value]
	case "narrow":
		g.cfg.RefuseNarrower = value == "refuse"
	case "ppk": // ppk=NAME:KEY, ppk=NAME:KEY:required
		parts := append(strings.SplitN(value, ":", 3), "")
		g.cfg.PPK = PPK{ID: parts[0], Key: []byte(parts[1]), Required: parts[2] == "required"}
	case "retransmit": // so long between tries
		d, err := time.ParseDuration(value)
		g.cfg.Retransmit = session.Backoff{First: d, Factor: 1, Tries: 5}
		return err
	case "fragment-size":
		size, err := strconv.Atoi(value)
		g.cfg.FragmentSize = size
		return err
	case "dpd":
		d, err := time.ParseDuration(value)
		g.cfg.DPD.Interval = d
		return err
	case "mobike":
		g.cfg.MOBIKE = value == "yes"
	case "per-pair":
		g.cfg.PerPair = value == "yes"
	case "resources":
		n, err := strconv.Atoi(value)
		g.cfg.Resources = n
		return err
	case "verify-pfs":
		g.cfg.VerifyPFS = value == "yes"
	case "initial-contact":
		g.cfg.InitialContact = value == "yes"
	case "seed": // of its randomness
		seed, err := strconv.ParseUint(value, 10, 8)
		g.cfg.Rand = seeded(byte(seed))
		return err
	case "jitter":
		jitter, err := strconv.ParseFloat(value, 64)
		g.cfg.Jitter = jitter
		return err
	case "child-life", "ike-life":
		d, err := time.ParseDuration(value)
		if key == "child-life" {
			g.cfg.ChildLifetime = d
		} else {
			g.cfg.IKELifetime = d
		}
		return err
	default:
		return fmt.Errorf("no such setting %q", key)
	}
	return nil
}

// state is one line on what both sides have.
func (l *lab) state() string {
	var parts []string
	for _, g := range []*gateway{l.a, l.b} {
		text := g.name + ": no IKE SA"
		if sa := g.sa(); sa != nil {
			text = fmt.Sprintf("%s: IKE SA with %d Child SA", g.name, len(sa.children))
		}
		parts = append(parts, fmt.Sprintf("%s, %d in the data path", text, len(g.children)))
	}
	return strings.Join(parts, "; ")
}
