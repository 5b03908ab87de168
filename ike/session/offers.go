package session

// Offers is what both ends wanted in a negotiation that failed, side by side, in the words of the configuration. It is
// for a person: nothing is decided by it, and it holds no secrets. What the peer told of itself is not proved.
type Offers struct {
	About  string   // "IKE proposal" | "ESP proposal" | "traffic selectors" | "identity" | "pre-shared key" | "certificate"
	Ours   []string // whole, as configured
	Theirs []string // whole, as far as told
	Told   bool     // the peer said what it wants; false: it only refused
	Rows   []Row    // one for each transform, or whatever else About consists of
}

// A Row compares one thing. Where proposals differ it is of the two that have most in common.
type Row struct {
	What         string // "encryption", "group", "local networks"
	Ours, Theirs []string
	Differs      bool // and it must not; always false where the peer told nothing
}
