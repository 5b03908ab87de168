package auth

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"
)

// A revocationList is a CRL (RFC 5280 §5) prepared for look-up.
type revocationList struct {
	list    *x509.RevocationList
	revoked map[string]time.Time // serial number in decimal -> since when
}

// knownCRLExtensions are the critical ones that change nothing for us: authority key identifier, CRL number. A delta CRL,
// or one that covers some certificates only, is marked by other critical ones and must not be used (RFC 5280 §5.2).
var knownCRLExtensions = []asn1.ObjectIdentifier{{2, 5, 29, 35}, {2, 5, 29, 20}}

// newRevocationList refuses a list that cannot be relied on.
func newRevocationList(list *x509.RevocationList) (*revocationList, error) {
	if !strongSignature(list.SignatureAlgorithm) {
		return nil, fmt.Errorf("it is signed with %s, which is not accepted", list.SignatureAlgorithm)
	}
	if list.NextUpdate.IsZero() {
		return nil, fmt.Errorf("it does not say until when it is current (nextUpdate)")
	}
	for _, e := range list.Extensions {
		if e.Critical && !containsOID(knownCRLExtensions, e.Id) {
			return nil, fmt.Errorf("it is partial or of a kind that is not supported (critical extension %s); hint: configure the complete list", e.Id)
		}
	}
	r := &revocationList{list: list, revoked: make(map[string]time.Time, len(list.RevokedCertificateEntries))}
	for _, entry := range list.RevokedCertificateEntries {
		for _, e := range entry.Extensions {
			if e.Critical {
				return nil, fmt.Errorf("an entry has the critical extension %s, which is not supported", e.Id)
			}
		}
		r.revoked[entry.SerialNumber.String()] = entry.RevocationTime
	}
	return r, nil
}

// checkRevoked asks the lists of cert's issuer. Without a list for that issuer there is nothing to ask. Where there is one,
// at least one must be current, so that a list that nobody renews does not turn into no list at all; an entry counts even
// in a list that is over.
func (t *Trust) checkRevoked(cert, issuer *x509.Certificate, now time.Time) error {
	configured, current := false, false
	var latest time.Time
	for _, r := range t.lists {
		if string(r.list.RawIssuer) != string(issuer.RawSubject) {
			continue
		}
		configured = true
		if r.list.CheckSignatureFrom(issuer) != nil {
			continue
		}
		if since, ok := r.revoked[cert.SerialNumber.String()]; ok {
			return refuse(ErrCertificate, "certificate %s was revoked by its authority on %s", subject(cert), since.UTC().Format(time.DateOnly))
		}
		if !now.Before(r.list.ThisUpdate) && now.Before(r.list.NextUpdate) {
			current = true
		}
		if r.list.NextUpdate.After(latest) {
			latest = r.list.NextUpdate
		}
	}
	switch {
	case !configured || current:
		return nil
	case latest.IsZero():
		return refuse(ErrCertificate, "no revocation list of %s is signed by its key; hint: fetch the list again (crl)", subject(issuer))
	}
	return refuse(ErrCertificate, "the revocation list of %s is not current (next update was due %s); hint: fetch it again (crl)",
		subject(issuer), latest.UTC().Format(time.RFC3339))
}

// strongSignature reports whether a signature over a certificate or a list is good enough.
func strongSignature(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS,
		x509.SHA512WithRSAPSS, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
		return true
	}
	return false
}

func containsOID(list []asn1.ObjectIdentifier, oid asn1.ObjectIdentifier) bool {
	for _, known := range list {
		if known.Equal(oid) {
			return true
		}
	}
	return false
}
