package suite

import (
	"fmt"
	"strings"

	"twinbore/ike/wire"
)

// A foreignRow is an algorithm of IANA's IKEv2 registry that is not here: it is known so that a refusal can call it
// by its name, in configuration as well as in a peer's offer.
type foreignRow struct {
	name string // %d stands for the key length in bits
	kind Kind
	id   uint16
	why  string
}

const (
	whyBroken = "broken, MUST NOT be used (RFC 8247)"
	whyNone   = "without it nothing is protected (RFC 7296 §5)"
	whyUnmade = "not supported"
)

var foreign = []foreignRow{
	{"des", KindENCR, 2, whyBroken},
	{"3des", KindENCR, 3, "64-bit blocks (RFC 8247 §2.1)"},
	{"cast%d", KindENCR, 6, "64-bit blocks"},
	{"blowfish%d", KindENCR, 7, "64-bit blocks (RFC 8247 §2.1)"},
	{"null", KindENCR, 11, whyNone},
	{"aes%d", KindENCR, 12, whyUnmade},
	{"aes%dctr", KindENCR, 13, whyUnmade},
	{"aes%dccm8", KindAEAD, 14, whyUnmade},
	{"aes%dccm12", KindAEAD, 15, whyUnmade},
	{"aes%dccm16", KindAEAD, 16, whyUnmade},
	{"aes%dgcm8", KindAEAD, 18, "its tag is short"},
	{"aes%dgcm12", KindAEAD, 19, "its tag is short"},
	{"aes%dgcm16", KindAEAD, 20, whyUnmade},
	{"aes%dgmac", KindAEAD, 21, whyNone},
	{"camellia%d", KindENCR, 23, whyUnmade},
	{"camellia%dctr", KindENCR, 24, whyUnmade},
	{"camellia%dccm8", KindAEAD, 25, whyUnmade},
	{"camellia%dccm12", KindAEAD, 26, whyUnmade},
	{"camellia%dccm16", KindAEAD, 27, whyUnmade},

	{"md5", KindINTEG, 1, whyBroken},
	{"desmac", KindINTEG, 3, whyBroken},
	{"aesxcbc", KindINTEG, 5, whyUnmade},
	{"md5_128", KindINTEG, 6, whyBroken},
	{"sha1_160", KindINTEG, 7, whyUnmade},
	{"aescmac", KindINTEG, 8, whyUnmade},

	{"prfmd5", KindPRF, 1, whyBroken},
	{"prftiger", KindPRF, 3, whyUnmade},
	{"prfaesxcbc", KindPRF, 4, whyUnmade},
	{"prfaescmac", KindPRF, 8, whyUnmade},

	{"modp768", KindGroup, 1, whyBroken},
	{"modp6144", KindGroup, 17, whyUnmade},
	{"modp8192", KindGroup, 18, whyUnmade},
	{"modp1024s160", KindGroup, 22, "its prime may hide a trap (RFC 8247 §2.4)"},
	{"modp2048s224", KindGroup, 23, "its prime may hide a trap (RFC 8247 §2.4)"},
	{"modp2048s256", KindGroup, 24, "its prime may hide a trap (RFC 8247 §2.4)"},
	{"ecp192", KindGroup, 25, "the group is too small"},
	{"ecp224", KindGroup, 26, whyUnmade},
	{"ecp224bp", KindGroup, 27, whyUnmade},
	{"ecp256bp", KindGroup, 28, whyUnmade},
	{"ecp384bp", KindGroup, 29, whyUnmade},
	{"ecp512bp", KindGroup, 30, whyUnmade},
	{"curve448", KindGroup, 32, whyUnmade},
	{"mlkem512", KindGroup, 35, whyUnmade},
}

// foreignWord finds the algorithm that word names with strongSwan's spelling.
func foreignWord(word string) (foreignRow, bool) {
	for _, f := range foreign {
		if f.name == word {
			return f, true
		}
		if strings.Contains(f.name, "%d") {
			for _, bits := range []int{128, 192, 256} {
				if fmt.Sprintf(f.name, bits) == word {
					return f, true
				}
			}
		}
	}
	return foreignRow{}, false
}

// transformName is how a transform of a peer is called in logs and errors: by its word in a proposal, or by type and
// number. It holds nothing of the peer's but numbers.
func transformName(t wire.Transform) string {
	name, known := knownName(asFirst(t))
	if known {
		name = inPlace(t.Type, name)
	} else {
		name = fmt.Sprintf("%s %d", t.Type, t.ID)
	}
	if t.Bad {
		name += " with an unknown attribute"
	}
	return name
}

func knownName(t wire.Transform) (string, bool) {
	t.Bad = false
	if r, ok := rowOf(t); ok {
		return r.Name, true
	}
	if isNone(t) {
		return noneName, true
	}
	for _, f := range foreign {
		if f.kind.Transform() == t.Type && f.id == t.ID {
			return f.render(t.KeyBits), true
		}
	}
	if r, ok := rowOf(wire.Transform{Type: t.Type, ID: t.ID}); ok { // its keys have one length, which must not be said
		return fmt.Sprintf("%s with a key length", r.Name), true
	}
	return "", false
}

func (f foreignRow) render(keyBits uint16) string {
	bits := strings.Contains(f.name, "%d")
	switch {
	case bits && keyBits == 0:
		return strings.Replace(f.name, "%d", "", 1) + " without key length"
	case bits:
		return fmt.Sprintf(f.name, keyBits)
	}
	return f.name
}
