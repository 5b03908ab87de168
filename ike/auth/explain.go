package auth

import (
	"crypto/x509"
	"errors"
	"time"
)

// explain says in our words what the library found, with something to look at. The first of certs is the peer's.
func explain(err error, certs []*x509.Certificate) error {
	leaf := certs[0]
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var critical x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &invalid) && invalid.Cert != nil:
		return explainInvalid(invalid)
	case errors.As(err, &critical):
		return refuse(ErrCertificate, "certificate %s, or one above it, has a critical extension that is not supported", subject(leaf))
	case errors.As(err, &unknown):
		if why := unfitIssuer(certs); why != nil {
			return why
		}
		return refuse(ErrCertificate, "certificate %s was not issued by an authority that we trust (issuer %s); "+
			"hint: add the authority's certificate (ca), or have the peer send the ones in between", subject(leaf), printDN(leaf.RawIssuer))
	}
	return refuse(ErrCertificate, "certificate %s: %s", subject(leaf), cut(escape(err.Error())))
}

// unfitIssuer finds a certificate that issued another of certs and was not allowed to, or not in that way; nil if there is
// none.
func unfitIssuer(certs []*x509.Certificate) error {
	for _, c := range certs {
		if !issued(c, c) && !strongSignature(c.SignatureAlgorithm) {
			return refuse(ErrCertificate, "certificate %s is signed with %s, which is not accepted", subject(c), c.SignatureAlgorithm)
		}
		for _, issuer := range certs {
			if !issued(issuer, c) || c.Equal(issuer) {
				continue
			}
			if !issuer.IsCA {
				return refuse(ErrCertificate, "certificate %s, which issued certificate %s, is no authority (CA:FALSE)", subject(issuer), subject(c))
			}
			if issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0 {
				return refuse(ErrCertificate, "certificate %s, which issued certificate %s, is not meant to sign certificates (keyUsage)", subject(issuer), subject(c))
			}
		}
	}
	return nil
}

func explainInvalid(invalid x509.CertificateInvalidError) error {
	c := invalid.Cert
	switch invalid.Reason {
	case x509.Expired:
		return refuse(ErrCertificate, "certificate %s is valid from %s to %s, which now is not; hint: renew it, or set the clock",
			subject(c), c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	case x509.TooManyIntermediates:
		return refuse(ErrCertificate, "authority %s does not allow so many below it (pathlen)", subject(c))
	case x509.CANotAuthorizedForThisName:
		return refuse(ErrCertificate, "an authority above certificate %s does not allow its names (nameConstraints)", subject(c))
	}
	return refuse(ErrCertificate, "certificate %s: %s", subject(c), cut(escape(invalid.Error())))
}
