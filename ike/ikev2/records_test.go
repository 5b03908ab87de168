package ikev2

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"twinbore/esp"
	"twinbore/ike/wire"
)

// records is what both gateways of a lab have used and said so far, as far as it must not come again.
type records struct {
	sealed map[string][]byte // messages by what they are sealed with
	childs map[string]bool   // keys of Child SAs
	said   map[string]uint32 // the last message ID of each end of each IKE SA, of its requests and of its answers
}

func newRecords() records {
	return records{sealed: map[string][]byte{}, childs: map[string]bool{}, said: map[string]uint32{}}
}

// keys says that a Child SA has keys that one before it had, at whichever end and before whatever restart: ESP counts its IVs
// from one again (I4, CRY-05). One key is for one direction: one end seals with it and the other opens.
func (r records) keys(who string, c esp.Child) string {
	for way, key := range map[string][]byte{"in": c.In.Key, "out": c.Out.Key} {
		name := fmt.Sprintf("%s %x", way, key)
		if r.childs[name] {
			return who + " installed a key for the second time: " + name
		}
		r.childs[name] = true
	}
	return ""
}

// message says what is wrong with one that leaves: it is in clear (I1), it is sealed under a key with an IV that another
// message had (I4, CRY-05), or, with strict, its message ID is not its end's last one or the next (I5, RFC 7296 §2.2).
func (r records) message(h wire.Header, msg []byte, strict bool) string {
	if h.Exchange == wire.IKESAInit {
		return ""
	}
	env, err := wire.FindEnvelope(msg, h)
	if err != nil || len(env.Clear) > 0 {
		return fmt.Sprintf("sends %v with something in clear: %v", h.Exchange, err)
	}
	key := fmt.Sprintf("%x %x %v %x", h.SPIi, h.SPIr, h.Initiator(), env.Body[:8])
	if before, ok := r.sealed[key]; ok && string(before) != string(msg) {
		return "sealed two messages with one key and IV: " + key
	}
	r.sealed[key] = msg
	if !strict {
		return ""
	}
	end := fmt.Sprintf("%x %x %v %v", h.SPIi, h.SPIr, h.Initiator(), h.Response())
	last, spoken := r.said[end]
	if spoken && h.MessageID != last && h.MessageID != last+1 || !spoken && h.MessageID > 1 {
		return fmt.Sprintf("says #%d after #%d on %s", h.MessageID, last, end)
	}
	r.said[end] = h.MessageID
	return ""
}

// meets notes what comes to g: what g is at any time follows from what has come to it, and when.
func (l *lab) meets(g *gateway, what []byte) {
	digest := sha256.New()
	digest.Write(g.past[:])
	digest.Write(binary.BigEndian.AppendUint64(nil, uint64(l.now.UnixNano())))
	digest.Write(what)
	digest.Sum(g.past[:0])
}
