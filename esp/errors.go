package esp

import "errors"

// The reasons not to seal or open a packet. The caller drops the packet and counts it under DropReason. ErrSeqExhausted
// and ErrExpired say more, that the SA must be replaced before traffic can flow again.
var (
	// ErrMalformed: the packet cannot be ESP under this SA (too short, not whole blocks), or it was sealed with
	// padding other than 1,2,3,... (RFC 4303 §2.4).
	ErrMalformed error = &drop{"malformed", "malformed ESP packet"}
	// ErrUnknownSPI: the packet bears another SPI than this SA's.
	ErrUnknownSPI error = &drop{"unknown_spi", "ESP packet of another SA"}
	// ErrReplay: the sequence number was seen, or is behind the window, or is 0 (RFC 4303 §3.4.3).
	ErrReplay error = &drop{"replay", "ESP sequence number seen before or too old"}
	// ErrAuth: the integrity check value is wrong (RFC 4303 §3.4.4).
	ErrAuth error = &drop{"auth", "ESP integrity check failed"}
	// ErrDummy: a good packet that carries nothing (next header 59, RFC 4303 §2.6). It is dropped in silence.
	ErrDummy error = &drop{"dummy", "ESP dummy packet"}
	// ErrInner: what was sealed is not an IP packet as its next header says, see Inner.
	ErrInner error = &drop{"inner", "no whole IP packet inside ESP"}
	// ErrSeqExhausted: the last sequence number is spent; nothing more may be sealed (RFC 4303 §3.3.3).
	ErrSeqExhausted error = &drop{"seq_exhausted", "ESP sequence numbers are exhausted"}
	// ErrExpired: a hard limit of the SA is reached (RFC 4301 §4.4.2.1).
	ErrExpired error = &drop{"expired", "ESP security association has reached its hard limit"}
)

// A drop is an error of this package: the word that counters use, and the sentence.
type drop struct{ reason, text string }

func (d *drop) Error() string { return d.text }

// DropReason returns the word under which a packet that met err is counted: "replay", "auth", "malformed" and so on;
// "internal" for an error that is not of this package (the random source), and "" for nil.
func DropReason(err error) string {
	if err == nil {
		return ""
	}
	if d, ok := errors.AsType[*drop](err); ok {
		return d.reason
	}
	return "internal"
}
