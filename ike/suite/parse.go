package suite

import (
	"fmt"
	"slices"
	"strings"

	"twinbore/ike/wire"
)

// maxWords bounds a proposal: more cannot be meant, and what is offered must not go past wire.MaxTransforms.
const maxWords = 64

// ParseIKE reads a proposal for IKE SAs as strongSwan writes it: "aes256gcm16-prfsha384-ecp384",
// "aes128-aes256-sha256-ecp256-modp2048". It needs a cipher, a PRF and a group, and an integrity transform for a
// cipher that is no AEAD. Where no PRF is named, each integrity transform stands for the PRF of its hash as well; an
// AEAD with an integrity transform and no PRF is read so too ("aes256gcm16-sha384-ecp384"). The order of kinds is
// free; within a kind it is the order of preference.
//
// Up to seven more key exchanges follow the first where words of ke1_ to ke7_ stand: "-ecp384-ke1_mlkem768" (RFC 9370),
// "-ke1_mlkem768-ke1_mlkem1024" for either method, and "-ke1_none" beside for one that need not take place. ML-KEM is
// for these alone in IKE: with it the first message might not fit into a packet, and it cannot be fragmented
// (draft-ietf-ipsecme-ikev2-mlkem §2.1). The error tells all that is wrong.
func ParseIKE(text string) (Proposal, error) { return parse(text, wire.ProtoIKE) }

// ParseESP reads a proposal for Child SAs: "aes256gcm16-ecp384", "aes256-sha256". Groups mean PFS at every rekey with
// one of them, none means no PFS; ML-KEM may stand alone there, and ke1_ to ke7_ follow a group as in IKE. "esn" and "noesn" say which sequence numbers are acceptable; without either both
// are, extended ones first (RFC 4303 §2.2.1). The error tells all that is wrong.
func ParseESP(text string) (Proposal, error) { return parse(text, wire.ProtoESP) }

func parse(text string, proto wire.ProtocolID) (Proposal, error) {
	r := reader{p: Proposal{Protocol: proto}}
	words := strings.Split(text, "-")
	switch {
	case text == "":
		return Proposal{}, fmt.Errorf("%s proposal is empty: write one like %s", protocolWord(proto), example(proto))
	case len(words) > maxWords:
		return Proposal{}, fmt.Errorf("%s proposal has %d words, at most %d make sense", protocolWord(proto), len(words), maxWords)
	}
	for _, w := range words {
		r.word(w)
	}
	r.complete()
	if len(r.problems) > 0 {
		return Proposal{}, fmt.Errorf("%s proposal %q: %s", protocolWord(proto), text, strings.Join(r.problems, "; "))
	}
	return r.p, nil
}

// A reader collects the words of a proposal and what is wrong with them.
type reader struct {
	p        Proposal
	problems []string
	listed   bool              // the algorithms have been listed once
	meant    [KindESN + 1]bool // kinds of words that were wrong: that they are missing is no second problem

	meantAdditional [maxAdditional]bool // the same for ke1 to ke7
}

func (r *reader) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *reader) word(w string) {
	if w == "" {
		r.problem("a word is missing beside a dash")
		return
	}
	if r.additional(w) {
		return
	}
	row, ok := Lookup(w)
	if !ok {
		r.unknown(w)
		return
	}
	switch row.Kind {
	case KindENCR, KindAEAD:
		r.add(&r.p.Encr, row, row.Name)
	case KindINTEG:
		r.add(&r.p.Integ, row, row.Name)
	case KindPRF:
		if r.p.Protocol != wire.ProtoIKE {
			r.problem("%q is a PRF, which only ike proposals have", w)
			return
		}
		r.add(&r.p.PRF, row, row.Name)
	case KindGroup:
		if !r.fitsFirst(row) {
			r.meant[KindGroup] = true
			r.problem("%s is too large for the first key exchange: write %s after one of %s", w,
				inPlace(wire.TransformADDKE1, row.Name), r.allowed(KindGroup))
			return
		}
		r.add(&r.p.Groups, row, row.Name)
	case KindESN:
		r.addESN(w, row.Name == esnRow)
	}
}

func (r *reader) add(to *[]Row, row Row, word string) {
	if slices.Contains(*to, row) {
		r.problem("%s stands twice", word)
		return
	}
	*to = append(*to, row)
}

func (r *reader) addESN(w string, esn bool) {
	switch {
	case r.p.Protocol != wire.ProtoESP:
		r.problem("%q is about sequence numbers, which only esp proposals have", w)
	case slices.Contains(r.p.ESN, esn):
		r.problem("%s stands twice", w)
	default:
		r.p.ESN = append(r.p.ESN, esn)
	}
}

// unknown explains a word that is not in the table.
func (r *reader) unknown(w string) {
	if f, ok := foreignWord(w); ok {
		r.meant[f.kind] = true
		r.problem("%s is refused: %s; use one of %s", w, f.why, r.allowed(f.kind))
		return
	}
	if row, ok := nearestRow(w); ok {
		r.meant[row.Kind] = true
		r.problem("unknown word %q, did you mean %q?", w, row.Name)
		return
	}
	if r.listed {
		r.problem("unknown word %q", w)
		return
	}
	r.listed = true
	r.problem("unknown word %q; there are %s", w, r.allKinds())
}

// complete checks what a proposal must have, and adds what follows from it.
func (r *reader) complete() {
	p := &r.p
	aead := slices.ContainsFunc(p.Encr, func(e Row) bool { return e.Kind == KindAEAD }) || r.meant[KindAEAD]
	other := slices.ContainsFunc(p.Encr, func(e Row) bool { return e.Kind == KindENCR }) || r.meant[KindENCR]
	noInteg := len(p.Integ) == 0 && !r.meant[KindINTEG]
	noPRF := len(p.PRF) == 0 && !r.meant[KindPRF]
	switch {
	case !aead && !other:
		r.problem("a cipher is missing, one of %s", r.allowed(KindENCR))
	case other && noInteg:
		r.problem("%s needs an integrity transform, one of %s", cipherName(p.Encr, KindENCR), r.allowed(KindINTEG))
	case !other && len(p.Integ) > 0 && (p.Protocol == wire.ProtoESP || !noPRF):
		// RFC 7296 §3.3.2: an AEAD goes with no integrity transform.
		r.problem("%s protects integrity itself, leave %s out", cipherName(p.Encr, KindAEAD), strings.Join(names(p.Integ), " and "))
	case p.Protocol == wire.ProtoIKE && aead && noPRF && noInteg:
		r.problem("a PRF is missing, one of %s: %s gives none", r.allowed(KindPRF), cipherName(p.Encr, KindAEAD))
	}
	r.completeAdditional()
	if p.Protocol == wire.ProtoESP {
		if p.ESN == nil {
			p.ESN = slices.Clone(bothESN)
		}
		return
	}
	if r.noGroup() {
		r.problem("a group is missing, one of %s", r.allowed(KindGroup))
	}
	if noPRF {
		p.PRF = derivePRF(p.Integ)
	}
	if !other {
		p.Integ = nil
	}
}

// cipherName names the first cipher of a kind, or says "the cipher" where it was misspelt.
func cipherName(encr []Row, k Kind) string {
	for _, r := range encr {
		if r.Kind == k {
			return r.Name
		}
	}
	return "the cipher"
}

// allowed lists the algorithms of a kind; all ciphers for either kind of cipher. Weak ones are not suggested.
func (r *reader) allowed(k Kind) string {
	var words []string
	for _, row := range table {
		if row.Kind.Transform() == k.Transform() && row.Weak == "" && r.fitsFirst(row) {
			words = append(words, row.Name)
		}
	}
	return strings.Join(words, ", ")
}

// fitsFirst tells whether a row may stand without ke1_ to ke7_.
func (r *reader) fitsFirst(row Row) bool { return r.p.Protocol == wire.ProtoESP || !row.isKEM() }

// noGroup tells that no first key exchange is meant.
func (r *reader) noGroup() bool { return len(r.p.Groups) == 0 && !r.meant[KindGroup] }

func (r *reader) allKinds() string {
	kinds := []Kind{KindENCR, KindINTEG, KindPRF, KindGroup}
	if r.p.Protocol == wire.ProtoESP {
		kinds = []Kind{KindENCR, KindINTEG, KindGroup, KindESN}
	}
	var lists []string
	for _, k := range kinds {
		lists = append(lists, k.String()+" "+r.allowed(k))
	}
	return strings.Join(append(lists, "additional key exchanges ke1_ to ke7_ before one of "+methodNames()), "; ")
}

func protocolWord(proto wire.ProtocolID) string {
	if proto == wire.ProtoIKE {
		return "ike"
	}
	return "esp"
}

func example(proto wire.ProtocolID) string {
	if proto == wire.ProtoIKE {
		return "aes256gcm16-prfsha384-ecp384"
	}
	return "aes256gcm16-ecp384"
}
