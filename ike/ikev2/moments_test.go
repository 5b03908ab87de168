package ikev2

import (
	"strings"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// A moment is one message of one exchange, about to be delivered.
type moment struct {
	name string
	with func(ike string) func(t testing.TB) (*lab, *gateway) // the message is the oldest of this gateway
	must []wire.PayloadType                                   // mandatory payloads
}

func (m moment) reach(t testing.TB) (*lab, *gateway) { return m.with(defaultIKE)(t) }

// moments are all messages of a whole life.
var moments = []moment{
	{"IKE_SA_INIT request", before(fresh), []wire.PayloadType{wire.TypeSA, wire.TypeKE, wire.TypeNonce}},
	{"IKE_SA_INIT answer", before(fresh, "a"), []wire.PayloadType{wire.TypeSA, wire.TypeKE, wire.TypeNonce}},
	{"IKE_AUTH request", before(fresh, "a", "b"), []wire.PayloadType{wire.TypeIDi, wire.TypeAuth, wire.TypeSA, wire.TypeTSi, wire.TypeTSr}},
	{"IKE_AUTH answer", before(fresh, "a", "b", "a"), []wire.PayloadType{wire.TypeIDr, wire.TypeAuth, wire.TypeSA, wire.TypeTSi, wire.TypeTSr}},
	{"new child request", before(newChild), []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeTSi, wire.TypeTSr}},
	{"new child answer", before(newChild, "a"), []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeTSi, wire.TypeTSr}},
	{"rekey child request", before(told(session.Rekey{})), []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeTSi, wire.TypeTSr}},
	{"rekey child answer", before(told(session.Rekey{}), "a"), []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeTSi, wire.TypeTSr}},
	{"rekey IKE request", before(told(session.Rekey{IKE: true})), []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeKE}},
	{"rekey IKE answer", before(told(session.Rekey{IKE: true}), "a"), []wire.PayloadType{wire.TypeSA, wire.TypeNonce, wire.TypeKE}},
	{"delete child request", before(told(session.Rekey{}), "a", "b"), nil},
	{"delete child answer", before(told(session.Rekey{}), "a", "b", "a"), nil},
	{"delete IKE request", before(told(session.Close{})), nil},
	{"delete IKE answer", before(told(session.Close{}), "a"), nil},
	{"liveness request", before(told(session.Probe{})), nil},
	{"liveness answer", before(told(session.Probe{}), "a"), nil},
}

// additionals are the messages of an additional key exchange (RFC 9242), whatever the suite asked for.
var additionals = []moment{
	{"IKE_INTERMEDIATE request", additional("a", "b"), []wire.PayloadType{wire.TypeKE}},
	{"IKE_INTERMEDIATE answer", additional("a", "b", "a"), []wire.PayloadType{wire.TypeKE}},
	{"IKE_AUTH after IKE_INTERMEDIATE request", additional("a", "b", "a", "b"), []wire.PayloadType{wire.TypeIDi, wire.TypeAuth}},
	{"IKE_AUTH after IKE_INTERMEDIATE answer", additional("a", "b", "a", "b", "a"), []wire.PayloadType{wire.TypeIDr, wire.TypeAuth}},
}

func additional(sides ...string) func(string) func(testing.TB) (*lab, *gateway) {
	return func(string) func(testing.TB) (*lab, *gateway) {
		return before(fresh, sides...)(defaultIKE + "-ke1_ecp256")
	}
}

// before begins something at a and then delivers a message of each named side.
func before(begin func(*lab), sides ...string) func(string) func(testing.TB) (*lab, *gateway) {
	return func(ike string) func(testing.TB) (*lab, *gateway) {
		return func(t testing.TB) (*lab, *gateway) {
			t.Helper()
			l := newLab(t)
			for _, g := range []*gateway{l.a, l.b} {
				g.cfg.IKE, g.cfg.ESP = ikeProposals(t, ike), espProposals(t, "aes128gcm16-curve25519-noesn")
			}
			begin(l)
			next := l.a
			for _, side := range sides {
				if next = l.a; side == "b" {
					next = l.b
				}
				l.deliver(next)
				next = l.other(next)
			}
			return l, next
		}
	}
}

func fresh(l *lab) { l.initiate(l.a) }

func newChild(l *lab) {
	fresh(l)
	l.settle()
	l.childless()
	l.initiate(l.a)
}

func told(cmd session.Command) func(*lab) {
	return func(l *lab) {
		fresh(l)
		l.settle()
		l.do(l.a, cmd)
	}
}

func (m moment) answer() bool { return strings.HasSuffix(m.name, "answer") }
func (m moment) clear() bool  { return strings.HasPrefix(m.name, "IKE_SA_INIT") }
func (m moment) auth() bool   { return strings.HasPrefix(m.name, "IKE_AUTH") }

// change gives the message other payloads on its way. An IKE_SA_INIT is changed at its source if the sender shall
// stand by it.
func (m moment) change(l *lab, g *gateway, standBy bool, change func([]wire.Payload) []wire.Payload) {
	if !m.clear() {
		l.edit(g, change)
		return
	}
	edit := l.editClear
	if standBy {
		edit = l.sayClear
	}
	edit(g, func(msg *wire.Message) { msg.Payloads = change(msg.Payloads) })
}

// heals plays on until everything has been repeated or given up, asks for the tunnel again if it is not there, and
// checks that both have it.
func (l *lab) heals() {
	l.t.Helper()
	l.settle()
	l.mustBeSound()
	l.wait(2*time.Minute, l.settle)
	l.mustBeSound()
	if l.unpaired() != "" {
		l.initiate(l.a)
		l.settle()
	}
	l.unharmed()
}
