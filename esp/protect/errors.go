package protect

import "errors"

// ErrOpen is returned by Protector.Open when the octets were not sealed under this key with this IV and aad, or cannot
// have been: too short for a tag, or not whole blocks. The two are not told apart, and the caller must drop the packet.
var ErrOpen = errors.New("integrity check failed")
