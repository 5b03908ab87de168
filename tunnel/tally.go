package tunnel

// A tally keeps which of the last 32 pings were answered.
type tally struct {
	came uint32 // bit n: the last ping whose number is n modulo 32 was answered
	asks int
}

func (t *tally) sent(number uint16) {
	t.asks++
	t.came &^= 1 << (number % 32)
}

// answered notes the answer to a ping, and reports whether it is one to the pings kept. newest is the number of the last.
func (t *tally) answered(newest, number uint16) bool {
	if int(newest-number) >= min(t.asks, 32) {
		return false
	}
	t.came |= 1 << (number % 32)
	return true
}

// loss is the share of pings without an answer, 0 to 100. The newest does not count while it is open.
func (t *tally) loss(newest uint16, open bool) float64 {
	n, lost := min(t.asks, 32), 0
	first := uint16(0)
	if open {
		first = 1
	}
	for back := first; int(back) < n; back++ {
		if t.came&(1<<((newest-back)%32)) == 0 {
			lost++
		}
	}
	if n -= int(first); n <= 0 {
		return 0
	}
	return 100 * float64(lost) / float64(n)
}
