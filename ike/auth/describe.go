package auth

import (
	"crypto/x509"
	"fmt"
	"time"

	"twinbore/ike/wire"
)

// DescribeCerts says of each certificate that a peer sent, of the first few if it sent more than it may, what an operator
// looks at: subject, issuer, validity, and of the peer's own what it names. It believes nothing of that, and everything is fit
// for a log whatever the peer sent.
func DescribeCerts(certs []*wire.Cert) (all [][]string) {
	for i, c := range certs[:min(len(certs), MaxPeerCerts)] {
		switch {
		case c.Encoding != wire.CertX509Signature:
			all = append(all, []string{fmt.Sprintf("in encoding %d", c.Encoding)})
		case len(c.Data) > MaxCertLen:
			all = append(all, []string{fmt.Sprintf("%d octets", len(c.Data))})
		default:
			parsed, err := x509.ParseCertificate(c.Data)
			if err != nil {
				all = append(all, []string{"cannot be read"})
				continue
			}
			all = append(all, describe(parsed, i == 0))
		}
	}
	return all
}

// describe is a certificate in a few words; with own also what it names besides its subject.
func describe(c *x509.Certificate, own bool) []string {
	facts := []string{"subject " + subject(c), "issuer " + printDN(c.RawIssuer),
		fmt.Sprintf("valid %s to %s", c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly))}
	if own {
		facts = append(facts, altNames(c)...)
	}
	return facts
}

// Describe says what DescribeCerts would say of our own certificate.
func (s *Signer) Describe() []string { return describe(s.chain[0], true) }

// Names are the subjects of the trust anchors, the first eight of them.
func (t *Trust) Names() (list []string) {
	if t == nil {
		return nil
	}
	const most = 8
	for _, c := range t.anchors[:min(len(t.anchors), most)] {
		list = append(list, subject(c))
	}
	if len(t.anchors) > most {
		list = append(list, fmt.Sprintf("%d more", len(t.anchors)-most))
	}
	return list
}
