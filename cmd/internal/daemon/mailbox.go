package daemon

import "sync"

// A mailbox brings facts to the loop. Posting never waits, because those who post must not: the engine's shards, which
// the loop itself gives commands to, would otherwise wait for the loop while it waits for them. What is posted is bounded
// by its sources: changes of SAs, one question for each client of the API, one acquire a second for each connection.
type mailbox struct {
	ready chan struct{} // holds one token while there may be mail

	mu    sync.Mutex // guards queue
	queue []any
}

func newMailbox() *mailbox { return &mailbox{ready: make(chan struct{}, 1)} }

func (m *mailbox) post(mail any) {
	m.mu.Lock()
	m.queue = append(m.queue, mail)
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// take returns everything that was posted, in order.
func (m *mailbox) take() []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.queue
	m.queue = nil
	return all
}
