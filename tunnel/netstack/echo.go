package netstack

import "time"

// How many echo requests of one tunnel are answered: enough for each way of measuring, and few enough that nobody has his
// packets returned at the gateway's cost.
const (
	echoesPerSecond = 100
	echoesAtOnce    = 50
)

// echo answers an echo request to our inside address. That the tunnel is the address's the data path knows; after a change of
// configuration it may know better than the Stack, and then the request is the host's.
func (s *Stack) echo(peer string, packet []byte, m *message) bool {
	s.mu.Lock()
	t := s.tunnels[peer]
	ours := t != nil && t.inside == m.dst
	may := ours && t.echoes.take(time.Now())
	s.mu.Unlock()
	if !ours {
		return false
	}
	if !may {
		s.drop(peer, echoRate)
		return true
	}
	m.answer(packet)
	if err := s.cfg.Send(peer, packet); err != nil {
		s.drop(peer, notSent)
	}
	return true
}

// A bucket lets echoesPerSecond through, and echoesAtOnce after a pause. The zero bucket is full.
type bucket struct {
	spent time.Duration // what has been taken and did not come back yet
	at    time.Time
}

func (b *bucket) take(now time.Time) bool {
	const each = time.Second / echoesPerSecond
	b.spent = max(0, b.spent-now.Sub(b.at))
	b.at = now
	if b.spent+each > echoesAtOnce*each {
		return false
	}
	b.spent += each
	return true
}
