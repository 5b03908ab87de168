package esp

// Newest reports whether low is the low half of the highest sequence number that was opened. Without a replay check no
// number is: an old packet cannot be told from a new one then (RFC 7296 §2.23).
func (in *Inbound) Newest(low uint32) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.check && in.window.top != 0 && uint32(in.window.top) == low
}
