package protect

import "golang.org/x/crypto/chacha20poly1305"

// ChaCha20Poly1305 is ChaCha20 with Poly1305 and an explicit IV of 8 octets (RFC 7634).
var ChaCha20Poly1305 = newAEAD("chacha20poly1305", chacha20poly1305.KeySize, library(chacha20poly1305.New))
