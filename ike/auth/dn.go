package auth

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxDNLen bounds a distinguished name, in octets of DER.
const MaxDNLen = 1024

// A dn is a distinguished name (RFC 5280 §4.1.2.4): relative names from the root downwards, in the order of the encoding.
type dn []rdn

// An rdn is one step down, a set of attributes; nearly always there is one.
type rdn []attribute

// An attribute is one "CN=gw". Where the value is text, it has been brought to UTF-8 and the type of string is forgotten:
// the same name comes as PrintableString from one tool and as UTF8String from another.
type attribute struct {
	oid    string // dotted
	isText bool
	value  string // UTF-8 text, or the DER element if it is of another type
}

// parseDN reads a name from DER, to the last octet. A name of nobody, without attributes, is an error.
func parseDN(data []byte) (dn, error) {
	if len(data) > MaxDNLen {
		return nil, fmt.Errorf("distinguished name of %d octets, %d are the limit", len(data), MaxDNLen)
	}
	var seq cryptobyte.String
	s := cryptobyte.String(data)
	if !s.ReadASN1(&seq, der.SEQUENCE) || !s.Empty() {
		return nil, errors.New("distinguished name that is no DER")
	}
	var name dn
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, der.SET) || set.Empty() {
			return nil, errors.New("distinguished name with a part that is no DER")
		}
		var part rdn
		for !set.Empty() {
			a, err := readAttribute(&set)
			if err != nil {
				return nil, err
			}
			part = append(part, a)
		}
		name = append(name, part)
	}
	if len(name) == 0 {
		return nil, errors.New("distinguished name without a single attribute")
	}
	return name, nil
}

func readAttribute(set *cryptobyte.String) (attribute, error) {
	var pair, element cryptobyte.String
	var oid asn1.ObjectIdentifier
	var tag der.Tag
	if !set.ReadASN1(&pair, der.SEQUENCE) || !pair.ReadASN1ObjectIdentifier(&oid) ||
		!pair.ReadAnyASN1Element(&element, &tag) || !pair.Empty() {
		return attribute{}, errors.New("distinguished name with an attribute that is no DER")
	}
	a := attribute{oid: oid.String(), value: string(element)}
	var body cryptobyte.String
	switch tag {
	case der.UTF8String, der.PrintableString, der.IA5String, numericString:
		if !element.ReadASN1(&body, tag) || !utf8.Valid(body) || tag != der.UTF8String && !isASCII(body) {
			return attribute{}, errors.New("distinguished name with text that is none")
		}
		a.isText, a.value = true, string(body)
	}
	return a, nil
}

const numericString = der.Tag(18)

func isASCII(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 }) }

// equal compares part by part, in order, and within a part as a set. Text is the same when its letters are: differs:
// RFC 5280 §7.1 takes capitals for small letters and runs of blanks for one, but who may in is no matter of taste, and the
// certificate's own name is there to be copied.
func (n dn) equal(other dn) bool {
	return slices.EqualFunc(n, other, rdn.equal)
}

func (r rdn) equal(other rdn) bool {
	if len(r) != len(other) {
		return false
	}
	left := slices.Clone(other)
	for _, a := range r {
		i := slices.Index(left, a)
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

// sameDN compares two names in DER; what cannot be read equals nothing.
func sameDN(a, b []byte) bool {
	one, err := parseDN(a)
	if err != nil {
		return false
	}
	other, err := parseDN(b)
	return err == nil && one.equal(other)
}

// encode writes the name in DER: text as RFC 5280 §4.1.2.4 and Appendix A want it.
func (n dn) encode() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, part := range n {
			b.AddASN1(der.SET, func(b *cryptobyte.Builder) { part.add(b) })
		}
	})
	data, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	if len(data) > MaxDNLen {
		return nil, fmt.Errorf("it has %d octets, %d are the limit", len(data), MaxDNLen)
	}
	return data, nil
}

// add writes the set in the order that DER wants: that of the octets.
func (r rdn) add(b *cryptobyte.Builder) {
	var encoded [][]byte
	for _, a := range r {
		one, err := a.encode()
		if err != nil {
			b.SetError(err)
			return
		}
		encoded = append(encoded, one)
	}
	slices.SortFunc(encoded, bytes.Compare)
	for _, one := range encoded {
		b.AddBytes(one)
	}
}

func (a attribute) encode() ([]byte, error) {
	oid, err := parseOID(a.oid)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if !a.isText {
			b.AddBytes([]byte(a.value))
			return
		}
		b.AddASN1(a.stringType(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.value)) })
	})
	return b.Bytes()
}

// stringType is the type that the attribute's text is written in.
func (a attribute) stringType() der.Tag {
	switch a.oid {
	case "2.5.4.6", "2.5.4.5", "2.5.4.46": // C, serialNumber, dnQualifier
		if isPrintable(a.value) {
			return der.PrintableString
		}
	case "0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1": // DC, emailAddress
		if isASCII([]byte(a.value)) {
			return der.IA5String
		}
	}
	return der.UTF8String
}

// isPrintable reports whether text fits a PrintableString (X.680).
func isPrintable(text string) bool {
	for _, r := range text {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		case bytes.ContainsRune([]byte(" '()+,-./:=?"), r):
		default:
			return false
		}
	}
	return true
}
