package suite

import (
	"slices"
	"strings"

	"twinbore/esp/protect"
	"twinbore/ike/wire"
)

// A Kind says what an algorithm is for.
type Kind uint8

// The kinds, in the order in which a proposal is written. AEAD and ENCR are both encryption on the wire.
const (
	KindENCR  Kind = iota + 1 // a cipher that needs an integrity transform beside it
	KindAEAD                  // a cipher that protects integrity itself (RFC 5282, RFC 4106)
	KindINTEG                 // an integrity transform
	KindPRF                   // a pseudorandom function
	KindGroup                 // a key exchange method, of the first or of an additional key exchange
	KindESN                   // extended sequence numbers or none
)

// String is the word for an operator: "encryption".
func (k Kind) String() string {
	switch k {
	case KindENCR, KindAEAD:
		return "encryption"
	case KindINTEG:
		return "integrity"
	case KindPRF:
		return "PRF"
	case KindGroup:
		return "group"
	case KindESN:
		return "sequence numbers"
	}
	return "unknown kind"
}

// Transform is the type of the kind's transforms on the wire (RFC 7296 §3.3.2).
func (k Kind) Transform() wire.TransformType {
	switch k {
	case KindENCR, KindAEAD:
		return wire.TransformENCR
	case KindINTEG:
		return wire.TransformINTEG
	case KindPRF:
		return wire.TransformPRF
	case KindGroup:
		return wire.TransformKE
	case KindESN:
		return wire.TransformESN
	}
	return 0
}

// A Row is one algorithm: what it is called and what it is in IKEv2. Rows can be compared with ==.
type Row struct {
	Name    string // strongSwan's word, the one we print
	Aliases string // other words that are read, one space between
	Kind    Kind
	ID      uint16 // IKEv2 transform ID
	KeyBits uint16 // Key Length attribute (RFC 7296 §3.3.5), bits; 0: the attribute must be absent
	RFC     string // where it is specified: numbers of RFCs, or the name of a draft
	Weak    string // why it needs allow_weak; "" if it does not

	// One of these, by Kind; ESN rows have none.
	aead  *protect.Algorithm
	integ protect.Integrity
	prf   *PRF
	group *Group
}

const (
	weakSHA1 = "SHA-1 is on its way out (RFC 8247 §2.2 and §2.3, RFC 8221 §6)"
	weakMODP = "the group is too small (RFC 8247 §2.4)"
	esnRow   = "esn"
	noESNRow = "noesn"
	idESN    = 1
	idNoESN  = 0
	idNone   = 0 // of INTEG, KE and ADDKE1 to ADDKE7

	draftMLKEM = "draft-ietf-ipsecme-ikev2-mlkem" // its numbers are IANA's already
)

// table has one row per algorithm, the better first within a kind. What is not here is never offered nor accepted.
var table = []Row{
	{Name: "aes128", Aliases: "aes", Kind: KindENCR, ID: 12, KeyBits: 128, RFC: "3602"},
	{Name: "aes256", Kind: KindENCR, ID: 12, KeyBits: 256, RFC: "3602"},

	{Name: "aes128gcm16", Aliases: "aes128gcm aes128gcm128", Kind: KindAEAD, ID: 20, KeyBits: 128, RFC: "4106, 5282", aead: protect.AES128GCM16},
	{Name: "aes256gcm16", Aliases: "aes256gcm aes256gcm128", Kind: KindAEAD, ID: 20, KeyBits: 256, RFC: "4106, 5282", aead: protect.AES256GCM16},
	{Name: "chacha20poly1305", Kind: KindAEAD, ID: 28, RFC: "7634", aead: protect.ChaCha20Poly1305},

	{Name: "sha256", Aliases: "sha2_256", Kind: KindINTEG, ID: 12, RFC: "4868", integ: protect.HMACSHA256},
	{Name: "sha384", Aliases: "sha2_384", Kind: KindINTEG, ID: 13, RFC: "4868", integ: protect.HMACSHA384},
	{Name: "sha512", Aliases: "sha2_512", Kind: KindINTEG, ID: 14, RFC: "4868", integ: protect.HMACSHA512},
	{Name: "sha1", Aliases: "sha", Kind: KindINTEG, ID: 2, RFC: "2404", Weak: weakSHA1, integ: protect.InsecureHMACSHA1},

	{Name: "prfsha256", Aliases: "prfsha2_256", Kind: KindPRF, ID: 5, RFC: "4868", prf: prfSHA256},
	{Name: "prfsha384", Aliases: "prfsha2_384", Kind: KindPRF, ID: 6, RFC: "4868", prf: prfSHA384},
	{Name: "prfsha512", Aliases: "prfsha2_512", Kind: KindPRF, ID: 7, RFC: "4868", prf: prfSHA512},
	{Name: "prfsha1", Kind: KindPRF, ID: 2, RFC: "2104", Weak: weakSHA1, prf: insecurePRFSHA1},

	{Name: "curve25519", Aliases: "x25519", Kind: KindGroup, ID: 31, RFC: "8031", group: x25519},
	{Name: "ecp256", Kind: KindGroup, ID: 19, RFC: "5903", group: ecp256},
	{Name: "ecp384", Kind: KindGroup, ID: 20, RFC: "5903", group: ecp384},
	{Name: "ecp521", Kind: KindGroup, ID: 21, RFC: "5903", group: ecp521},
	{Name: "modp2048", Kind: KindGroup, ID: 14, RFC: "3526", group: modp2048},
	{Name: "modp3072", Kind: KindGroup, ID: 15, RFC: "3526", group: modp3072},
	{Name: "modp4096", Kind: KindGroup, ID: 16, RFC: "3526", group: modp4096},
	{Name: "mlkem768", Kind: KindGroup, ID: 36, RFC: draftMLKEM, group: mlkem768},
	{Name: "mlkem1024", Kind: KindGroup, ID: 37, RFC: draftMLKEM, group: mlkem1024},
	{Name: "modp1536", Kind: KindGroup, ID: 5, RFC: "3526", Weak: weakMODP, group: insecureMODP1536},
	{Name: "modp1024", Kind: KindGroup, ID: 2, RFC: "2409", Weak: weakMODP, group: insecureMODP1024},

	{Name: esnRow, Kind: KindESN, ID: idESN, RFC: "4304"},
	{Name: noESNRow, Kind: KindESN, ID: idNoESN, RFC: "4303"},
}

// Table returns a copy of all rows, for documents and the start-up self-test.
func Table() []Row { return slices.Clone(table) }

// Lookup finds an algorithm by its name or one of its aliases, as it stands in a proposal: lower case, exactly.
func Lookup(name string) (Row, bool) {
	for _, r := range table {
		if r.Name == name || slices.Contains(strings.Fields(r.Aliases), name) {
			return r, true
		}
	}
	return Row{}, false
}

// rowOf finds the row that a peer's transform may be chosen as.
func rowOf(t wire.Transform) (Row, bool) {
	if isAdditional(t.Type) && noneRow.is(t) {
		return noneRow, true
	}
	for _, r := range table {
		if r.is(t) {
			return r, true
		}
	}
	return Row{}, false
}

// keyLen is the octets of keying material that a cipher or an integrity transform takes for one direction.
func (r Row) keyLen() int {
	switch r.Kind {
	case KindAEAD:
		return r.aead.KeyLen
	case KindENCR:
		return int(r.KeyBits) / 8
	case KindINTEG:
		return r.integ.KeyLen()
	}
	return 0
}

// isKEM tells whether the row is a key encapsulation mechanism.
func (r Row) isKEM() bool { return r.group != nil && r.group.encapsulate != nil }

// transform is the row as it is offered, unless it is for an additional key exchange.
func (r Row) transform() wire.Transform { return r.as(r.Kind.Transform()) }

// as is the row as it is offered in a type of transform: a method of key exchange is of eight types.
func (r Row) as(t wire.TransformType) wire.Transform {
	return wire.Transform{Type: t, ID: r.ID, KeyBits: r.KeyBits}
}

// is tells whether t names this row and may be chosen. A Bad transform is never equal: it has an attribute that is
// unknown or stands twice (RFC 7296 §3.3.6).
func (r Row) is(t wire.Transform) bool { return asFirst(t) == r.transform() }
