package ikev2

import (
	"bytes"
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// TestNameOfAPPK is K-03 (RFC 8784 §5.1): we name the PPK as PPK_ID_FIXED, and know it as PPK_ID_OPAQUE as well; another
// type, another name or none at all is not ours.
func TestNameOfAPPK(t *testing.T) {
	for name, c := range map[string]struct {
		id    []byte
		known bool
	}{
		"fixed": {[]byte("\x02quantum"), true}, "opaque": {[]byte("\x01quantum"), true},
		"a reserved type": {[]byte("\x00quantum"), false}, "an unassigned type": {[]byte("\x03quantum"), false},
		"another name": {[]byte("\x02Quantum"), false}, "a longer name": {[]byte("\x01quantum1"), false},
		"the type alone": {[]byte{2}, false}, "nothing": {nil, false}, "the name alone": {[]byte("quantum"), false},
	} {
		t.Run(name, func(t *testing.T) {
			l := atAuth(t, func(l *lab) {
				ppk := PPK{ID: "quantum", Key: bytes.Repeat([]byte{7}, 32), Required: true}
				l.a.cfg.PPK, l.b.cfg.PPK = ppk, ppk
			})
			l.edit(l.a, func(list []wire.Payload) []wire.Payload {
				for _, p := range list {
					if n, ok := p.(*wire.Notify); ok && n.Kind == wire.NotifyPPKIdentity {
						if string(n.Data) != "\x02quantum" {
							t.Errorf("the PPK is named %q", n.Data)
						}
						n.Data = c.id
					}
				}
				return list
			})
			l.settle()
			if !c.known {
				if failed := l.event(l.b, session.Failed); failed.Reason != session.AuthFailed || l.b.sa() != nil {
					t.Errorf("b says %s", failed.Reason)
				}
				return
			}
			l.unharmed()
		})
	}
}
