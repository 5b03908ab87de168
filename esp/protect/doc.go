// Package protect seals and opens one packet with a negotiated protection: an AEAD, or a cipher together with a
// separate integrity transform. ESP packets and the SK payload of IKE are protected by the same code.
//
//	            aad          iv        ciphertext              tag          tail
//	ESP    | SPI  seq    |  IV   |  inner, pad, pad length,  |  ICV  |  (seq high half, never sent)
//	SK     | header ...  |  IV   |  payloads, pad, length    |  ICV  |
//	         covered       covered     covered, encrypted                covered by a separate integrity transform
//
// A caller lays out aad and iv in its packet, puts the plaintext where the ciphertext shall be, and calls Seal; Open
// goes the other way. What stands in aad, where an IV comes from and how far a sequence number has come is the
// caller's business (package esp, ike/ikev2): a Protector has a key and no other state.
//
// An Algorithm is a pointer to one of this package's variables. Its Protectors keep cipher and hash states in a pool,
// so that Seal and Open allocate nothing and any number of goroutines may use one. AES-GCM has kernels of its own for
// CPUs with vector AES, in package gcm; its Protectors have no state at all there.
//
// Not done: AES-192, AES-CCM, AES-CTR, NULL and 3DES; implicit IV (RFC 8750); sealing several packets in one call
// (package gcm says what it could win).
//
// Start reading at protect.go (the contract), then aead.go and cbc.go.
package protect
