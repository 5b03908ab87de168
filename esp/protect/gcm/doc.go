// Package gcm is AES-GCM for packets on x86-64 with vector AES (VAES, VPCLMULQDQ): one call seals or opens a packet, with its tag,
// several times as fast as the standard library, whose kernel works on single blocks. The results are the same, bit for bit.
//
//	                            ┌─ AES, counters 2, 3, …, four vectors at a time ─┐
//	New ─► Key                  │                                                 ▼
//	       round keys ─► Seal ──┤  xor plaintext ─► ciphertext ─► GHASH, a batch later ─► + length ─► xor ─► tag
//	       H^17 … H             │                                  ▲                                  ▲
//	                            └─ additional data · H ────────────┘             AES of counter 1 ────┘
//
// Who needs a key calls New and, when it returns nil, uses crypto/cipher; esp/protect does that. Which kernel New takes is decided once
// for a process: the best that the CPU and its operating system can run and that has given the known answers (selftest.go),
// unless Select says otherwise. A Key belongs to nobody: it is never changed.
//
// Nothing depends on a secret but the contents of registers and buffers: no branch, no address. Neither seal nor open touches an
// octet outside its slices, however short they are. A call is not preempted; 64 KiB take some 5 microseconds.
//
// The assembler is generated: asm is the generator, a module of its own so that its libraries are not the program's. `go generate`
// runs it; what it wrote is committed, with the digest of its sources, which a test compares.
//
// Not done: nonces of other lengths than 12 octets and tags of other lengths than 16, which no packet has; AES-192; arm64; several
// packets in one call: 45 packets of 1,440 octets take 18% longer in 45 calls than as many octets in one, which bounds what that
// could win, and short packets overlap in the processor as it is.
//
// Start reading at gcm.go, then asm/kernel.go.
package gcm

//go:generate go run -C asm .
