package auth

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a peer sends is believed if it leads to an authority of ours, however much of the way it sends.
func TestChainIsBelieved(t *testing.T) {
	root := authority(t, nil, "root")
	middle := authority(t, root, "middle")
	low := authority(t, middle, "low")
	self := certify(t, nil, newKey(t), "gw", withNames, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	purpose := func(oids ...x509.ExtKeyUsage) change { return func(c *x509.Certificate) { c.ExtKeyUsage = oids } }
	ipsecIKE := func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidIPsecIKE} }
	within := authority(t, root, "within", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example"}, true
		c.PermittedIPRanges = []*net.IPNet{{IP: net.IPv4(203, 0, 113, 0).To4(), Mask: net.CIDRMask(24, 32)}, {IP: net.ParseIP("2001:db8::"), Mask: net.CIDRMask(32, 128)}}
		c.PermittedEmailAddresses = []string{"gw.example"}
	})
	short := authority(t, root, "short", func(c *x509.Certificate) { c.MaxPathLenZero = true })
	direct, deep := gateway(t, root), gateway(t, low)
	for name, c := range map[string]struct {
		trust *Trust
		chain [][]byte
	}{
		"issued by the root":               {trusting(t, root), sent(direct)},
		"two authorities between":          {trusting(t, root), sent(deep, low, middle)},
		"authorities in another order":     {trusting(t, root), sent(deep, middle, low)},
		"the root sent as well":            {trusting(t, root), sent(deep, low, middle, root)},
		"an authority of no use sent":      {trusting(t, root), sent(direct, low)},
		"the authority between is trusted": {trusting(t, low), sent(deep)},
		"its own certificate is trusted":   {trusting(t, direct), sent(direct)},
		"a self-signed one is trusted":     {trusting(t, self), sent(self)},
		"several roots, one of them":       {trusting(t, authority(t, nil, "other"), root), sent(direct)},
		"roots of one name, one of them":   {trusting(t, authority(t, nil, "root"), root), sent(direct)},
		"for TLS servers":                  {trusting(t, root), sent(gateway(t, root, purpose(x509.ExtKeyUsageServerAuth)))},
		"for TLS clients and mail":         {trusting(t, root), sent(gateway(t, root, purpose(x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageClientAuth)))},
		"for anything":                     {trusting(t, root), sent(gateway(t, root, purpose(x509.ExtKeyUsageAny)))},
		"for IKE":                          {trusting(t, root), sent(gateway(t, root, ipsecIKE))},
		"authority for IKE, gateway for it": {trusting(t, root), sent(func() []*entity {
			a := authority(t, root, "ike", ipsecIKE)
			return []*entity{gateway(t, a, ipsecIKE), a}
		}()...)},
		"names within the constraints": {trusting(t, root), sent(gateway(t, within), within)},
		"path as long as allowed":      {trusting(t, root), sent(gateway(t, short), short)},
		"key usage: non-repudiation":   {trusting(t, root), sent(gateway(t, root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }))},
		"no key usage":                 {trusting(t, root), sent(gateway(t, root, func(c *x509.Certificate) { c.KeyUsage = 0 }))},
	} {
		t.Run(name, func(t *testing.T) {
			for _, id := range []string{"gw.example", "ops@gw.example", "203.0.113.10", "2001:db8::10", "C=CH, O=Example, CN=gw"} {
				leaf, err := c.trust.VerifyChain(c.chain, noon, mustID(t, id))
				if err != nil {
					t.Fatalf("%s: %v", id, err)
				}
				if !bytes.Equal(leaf.Raw, c.chain[0]) {
					t.Fatalf("%s: the certificate of %s came back", id, subject(leaf))
				}
			}
		})
	}
	trust, err := NewTrust(certs(root), certs(middle, low), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.VerifyChain(sent(deep), noon, mustID(t, "gw.example")); err != nil {
		t.Errorf("with authorities of our own between: %v", err)
	}
}

// AUT-04: what is wrong with a certificate is refused, with the reason for us.
func TestChainIsRefused(t *testing.T) {
	root := authority(t, nil, "root")
	trust := trusting(t, root)
	middle := authority(t, root, "middle")
	short := authority(t, root, "short", func(c *x509.Certificate) { c.MaxPathLenZero = true })
	below := authority(t, short, "below")
	stranger := authority(t, nil, "stranger")
	impostor := authority(t, nil, "root")
	notCA := certify(t, root, newKey(t), "no authority")
	noSign := authority(t, root, "no signing", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	over := authority(t, root, "over", func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) })
	mail := authority(t, root, "mail", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })
	server := authority(t, root, "server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	odd := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}
	constrained := func(name string, changes ...change) []*entity {
		a := authority(t, root, name, changes...)
		return []*entity{gateway(t, a), a}
	}
	directory := func(critical bool) change {
		// permittedSubtrees of one directoryName, of no attribute: whatever it allows, it is not enforced.
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidNameConstraints, Critical: critical, Value: []byte("\x30\x08\xa0\x06\x30\x04\xa4\x02\x30\x00")}}
		}
	}
	good := gateway(t, root)
	altered := bytes.Clone(good.cert.Raw)
	outer := bytes.LastIndex(altered, []byte(ecdsaHead+"\x02"))
	altered[outer+len(ecdsaHead)] = 3
	damaged := bytes.Clone(good.cert.Raw)
	damaged[len(damaged)-1] ^= 1
	path := []*entity{root}
	for i := range 5 {
		path = append(path, authority(t, path[i], string(rune('a'+i))))
	}
	far := gateway(t, path[5])

	for name, c := range map[string]struct {
		chain [][]byte
		id    string
		kind  error
		says  string
	}{
		"nothing":                          {nil, "gw.example", ErrCertificate, "no certificate"},
		"garbage":                          {[][]byte{[]byte("garbage")}, "gw.example", ErrCertificate, "cannot be read"},
		"an empty one":                     {[][]byte{nil}, "gw.example", ErrCertificate, "cannot be read"},
		"garbage after it":                 {[][]byte{append(bytes.Clone(good.cert.Raw), 0)}, "gw.example", ErrCertificate, "cannot be read"},
		"garbage as the second":            {[][]byte{good.cert.Raw, {1}}, "gw.example", ErrCertificate, "certificate 2 cannot be read"},
		"one too many":                     {sent(good, middle, middle, middle, middle), "gw.example", ErrCertificate, "sent 5 certificates, 4 are the limit"},
		"one too large":                    {[][]byte{good.cert.Raw, make([]byte, MaxCertLen+1)}, "gw.example", ErrCertificate, "of 8193 octets, 8192 are the limit"},
		"as large as may be, but zeros":    {[][]byte{good.cert.Raw, make([]byte, MaxCertLen)}, "gw.example", ErrCertificate, "certificate 2 cannot be read"},
		"altered outer signatureAlgorithm": {[][]byte{altered}, "gw.example", ErrCertificate, "inner and outer"},
		"altered signature":                {[][]byte{damaged}, "gw.example", ErrCertificate, "not issued by an authority that we trust"},
		"expired":                          {sent(gateway(t, root, func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) })), "gw.example", ErrCertificate, "CN=gw is valid from"},
		"future":                           {sent(gateway(t, root, func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Second) })), "gw.example", ErrCertificate, "CN=gw is valid from"},
		"expired authority":                {sent(gateway(t, over), over), "gw.example", ErrCertificate, "CN=over is valid from"},
		"wrong CA":                         {sent(gateway(t, stranger)), "gw.example", ErrCertificate, "CN=stranger"},
		"wrong CA, sent as well":           {sent(gateway(t, stranger), stranger), "gw.example", ErrCertificate, "CN=stranger"},
		"same DN other key":                {sent(gateway(t, impostor)), "gw.example", ErrCertificate, "not issued by an authority that we trust"},
		"same DN other key, sent as well":  {sent(gateway(t, impostor), impostor), "gw.example", ErrCertificate, "not issued by an authority that we trust"},
		"self-signed":                      {sent(certify(t, nil, newKey(t), "gw", withNames)), "gw.example", ErrCertificate, "not issued by an authority that we trust"},
		"authority between is not sent":    {sent(gateway(t, middle)), "gw.example", ErrCertificate, "CN=middle"},
		"CA:FALSE intermediate":            {sent(gateway(t, notCA), notCA), "gw.example", ErrCertificate, "CN=no authority, which issued certificate C=CH, O=Example, CN=gw, is no authority (CA:FALSE)"},
		"intermediate may not sign":        {sent(gateway(t, noSign), noSign), "gw.example", ErrCertificate, "is not meant to sign certificates (keyUsage)"},
		"path length":                      {sent(gateway(t, below), below, short), "gw.example", ErrCertificate, "pathlen"},
		"an authority as a gateway":        {sent(authority(t, root, "gw", withNames)), "gw.example", ErrCertificate, "not of a gateway"},
		"EKU of the gateway":               {sent(gateway(t, root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} })), "gw.example", ErrCertificate, "extendedKeyUsage of C=CH, O=Example, CN=gw"},
		"EKU of the authority":             {sent(gateway(t, mail), mail), "gw.example", ErrCertificate, "extendedKeyUsage of C=CH, O=Example, CN=mail"},
		"EKU of both, nothing in common":   {sent(gateway(t, server, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), server), "gw.example", ErrCertificate, "extendedKeyUsage"},
		"key usage: encryption only":       {sent(gateway(t, root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })), "gw.example", ErrCertificate, "keyUsage"},
		"unknown critical extension":       {sent(gateway(t, root, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{odd} })), "gw.example", ErrCertificate, "critical extension"},
		"the same above":                   {sent(constrained("odd", func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{odd} })...), "gw.example", ErrCertificate, "critical extension"},
		"name constraints: permitted": {sent(constrained("hosts", func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"other"}, true
		})...), "gw.example", ErrCertificate, "nameConstraints"},
		"name constraints: excluded": {sent(constrained("not gw", func(c *x509.Certificate) {
			c.ExcludedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example"}, true
		})...), "gw.example", ErrCertificate, "nameConstraints"},
		"name constraints: not critical": {sent(constrained("soft", func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"other"} })...), "gw.example", ErrCertificate, "nameConstraints"},
		"name constraints: mail": {sent(constrained("mails", func(c *x509.Certificate) {
			c.PermittedEmailAddresses, c.PermittedDNSDomainsCritical = []string{"other"}, true
		})...), "ops@gw.example", ErrCertificate, "nameConstraints"},
		"name constraints: address": {sent(constrained("nets", func(c *x509.Certificate) {
			c.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4(203, 0, 113, 0).To4(), Mask: net.CIDRMask(24, 32)}}
			c.PermittedDNSDomainsCritical = true
		})...), "203.0.113.10", ErrCertificate, "nameConstraints"},
		"name constraints: directory name": {sent(constrained("names", directory(true))...), "gw.example", ErrCertificate, "critical extension"},
		"the same, not critical":           {sent(constrained("soft names", directory(false))...), "gw.example", ErrCertificate, "directory names"},
		"no SAN match":                     {sent(good), "hq.example", ErrIdentity, "host gw.example"},
		"SAN of another kind":              {sent(good), "fqdn:203.0.113.10", ErrIdentity, "address 203.0.113.10"},
		"CN only":                          {sent(certify(t, root, newKey(t), "gw.example")), "gw.example", ErrIdentity, "subject alternative names"},
		"mail in the DN only":              {sent(certify(t, root, newKey(t), "ops@gw.example")), "ops@gw.example", ErrIdentity, "subject alternative names"},
		"another DN":                       {sent(good), "C=CH, O=Example, CN=hq", ErrIdentity, "subject is C=CH, O=Example, CN=gw"},
		"DN turned round":                  {sent(good), "CN=gw, O=Example, C=CH", ErrIdentity, "certificate's order"},
		"key ID":                           {sent(good), "keyid:gw", ErrIdentity, "cannot be in a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trust.VerifyChain(c.chain, noon, mustID(t, c.id))
			wantRefusal(t, err, c.kind, c.says)
		})
	}

	t.Run("nobody", func(t *testing.T) {
		_, err := trust.VerifyChain(sent(good), noon, ID{})
		wantRefusal(t, err, ErrIdentity, "nobody")
	})
	t.Run("no subject", func(t *testing.T) {
		bare := gateway(t, root, func(c *x509.Certificate) { c.Subject = pkix.Name{} })
		_, err := trust.VerifyChain(sent(bare), noon, mustID(t, "CN=gw, O=Example"))
		wantRefusal(t, err, ErrIdentity, "without a readable name")
		if _, err := trust.VerifyChain(sent(bare), noon, mustID(t, "gw.example")); err != nil {
			t.Errorf("by its alternative name: %v", err)
		}
	})
	t.Run("at no time", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("the zero time was taken, for which the library would read the clock")
			}
		}()
		trust.VerifyChain(sent(good), time.Time{}, mustID(t, "gw.example"))
	})
	t.Run("no trust at all", func(t *testing.T) {
		_, err := (*Trust)(nil).VerifyChain(sent(good), noon, mustID(t, "gw.example"))
		wantRefusal(t, err, ErrCertificate, "no trusted authority is configured")
	})
	t.Run("five below the root, two ours", func(t *testing.T) {
		trust, err := NewTrust(certs(root), certs(path[1], path[2]), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = trust.VerifyChain(sent(far, path[5], path[4], path[3]), noon, mustID(t, "gw.example"))
		wantRefusal(t, err, ErrCertificate, "6 steps below a trusted authority, 4 are the limit")
		low := gateway(t, path[4])
		_, err = trust.VerifyChain(sent(low, path[4], path[3]), noon, mustID(t, "gw.example"))
		wantRefusal(t, err, ErrCertificate, "5 steps below a trusted authority, 4 are the limit")
		near := gateway(t, path[3])
		if _, err := trust.VerifyChain(sent(near, path[3]), noon, mustID(t, "gw.example")); err != nil {
			t.Errorf("four below: %v", err)
		}
	})
}

// What the library may find besides is passed on, harmless to a terminal.
func TestExplainTheRest(t *testing.T) {
	cert := authority(t, nil, "root").cert
	for _, err := range []error{
		errors.New("x509: \x1b[2J" + strings.Repeat("x", 500)),
		x509.CertificateInvalidError{Cert: cert, Reason: x509.NoValidChains, Detail: "\x1b[2J" + strings.Repeat("x", 500)},
	} {
		got := explain(err, []*x509.Certificate{cert})
		wantRefusal(t, got, ErrCertificate, "certificate C=CH, O=Example, CN=root: x509: ")
		if text := got.Error(); strings.Contains(text, "\x1b") || len(text) > 200 {
			t.Errorf("shown as %q", text)
		}
	}
}

// Keys and signatures that are too weak, or a burden, count nowhere in a chain (CRY-10, DOS-13). The keys need no private
// half: nobody signs with them here.
func TestChainOfBadKeys(t *testing.T) {
	root := authority(t, nil, "root")
	trust := trusting(t, root)
	modulus := func(bits int) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return n.Add(n, big.NewInt(1))
	}
	for name, c := range map[string]struct {
		key  *rsa.PublicKey
		says string
	}{
		"RSA of 1024 bits":    {&rsa.PublicKey{N: modulus(1024), E: 65537}, "RSA key of 1024 bits"},
		"RSA of 2047 bits":    {&rsa.PublicKey{N: modulus(2047), E: 65537}, "RSA key of 2047 bits"},
		"RSA of 4097 bits":    {&rsa.PublicKey{N: modulus(4097), E: 65537}, "RSA key of 4097 bits"},
		"RSA of 16384 bits":   {&rsa.PublicKey{N: modulus(16384), E: 65537}, "RSA key of 16384 bits"},
		"RSA, even modulus":   {&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}, "impossible modulus"},
		"RSA, modulus 1":      {&rsa.PublicKey{N: big.NewInt(1), E: 65537}, "RSA key of 1 bits"},
		"RSA, exponent 1":     {&rsa.PublicKey{N: modulus(2048), E: 1}, "exponent 1"},
		"RSA, even exponent":  {&rsa.PublicKey{N: modulus(2048), E: 65536}, "exponent 65536"},
		"RSA, large exponent": {&rsa.PublicKey{N: modulus(2048), E: 1<<31 + 1}, "exponent 2147483649"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := certify(t, root, publicOnly{c.key, root.key}, "gw", withNames)
			_, err := trust.VerifyChain(sent(bad), noon, mustID(t, "gw.example"))
			wantRefusal(t, err, ErrCertificate, c.says)
			_, err = trust.VerifyChain(sent(gateway(t, root), bad), noon, mustID(t, "gw.example"))
			wantRefusal(t, err, ErrCertificate, c.says)
			if _, err := NewTrust(certs(bad), nil, nil); err == nil {
				t.Error("trusted as a root")
			}
			if _, err := NewTrust(certs(root), certs(bad), nil); err == nil {
				t.Error("trusted as an authority")
			}
		})
	}
	sha1 := gateway(t, root, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
	_, err := trust.VerifyChain(sent(sha1), noon, mustID(t, "gw.example"))
	wantRefusal(t, err, ErrCertificate, "signed with ECDSA-SHA1, which is not accepted")
	if _, err := NewTrust(nil, nil, nil); err == nil {
		t.Error("a trust without anybody in it was made")
	}
}

// publicOnly is a key whose private half nobody has.
type publicOnly struct {
	public crypto.PublicKey
	crypto.Signer
}

func (k publicOnly) Public() crypto.PublicKey { return k.public }

// Revocation, by lists from files: AUT-04.
func TestRevocation(t *testing.T) {
	root := authority(t, nil, "root")
	middle := authority(t, root, "middle")
	impostor := authority(t, nil, "root")
	good, bad, below := gateway(t, root), gateway(t, root), gateway(t, middle)
	for name, c := range map[string]struct {
		lists []*x509.RevocationList
		chain [][]byte
		says  string // empty: believed
	}{
		"not on the list":                       {crls(t, root, day(0), bad), sent(good), ""},
		"on the list":                           {crls(t, root, day(0), bad), sent(bad), "revoked by its authority on 2026-05-30"},
		"on a list that is over":                {crls(t, root, day(-60), bad), sent(bad), "revoked"},
		"not on a list that is over":            {crls(t, root, day(-60), bad), sent(good), "not current"},
		"not on a list of tomorrow":             {crls(t, root, day(1), bad), sent(good), "not current"},
		"on the older of two lists":             {append(crls(t, root, day(0)), crls(t, root, day(-60), bad)...), sent(bad), "revoked"},
		"a current and an old list":             {append(crls(t, root, day(-60)), crls(t, root, day(0), bad)...), sent(good), ""},
		"list by another of the same name":      {crls(t, impostor, day(0)), sent(good), "signed by its key"},
		"the same beside a good one":            {append(crls(t, impostor, day(0), good), crls(t, root, day(0))...), sent(good), ""},
		"list of another authority":             {crls(t, middle, day(0), good), sent(good), ""},
		"authority on the list":                 {crls(t, root, day(0), middle), sent(below, middle), "CN=middle was revoked"},
		"by the authority between":              {crls(t, middle, day(0), below), sent(below, middle), "CN=gw was revoked"},
		"no list of the authority between":      {crls(t, root, day(0)), sent(below, middle), ""},
		"list of the one between is over":       {append(crls(t, root, day(0)), crls(t, middle, day(-60))...), sent(below, middle), "not current"},
		"the trust anchor itself is not asked":  {crls(t, root, day(0), root), sent(good), ""},
		"the last instant of the list's period": {crls(t, root, day(-10).Add(time.Second)), sent(good), ""},
		"the first instant after it":            {crls(t, root, day(-10)), sent(good), "not current"},
	} {
		t.Run(name, func(t *testing.T) {
			trust, err := NewTrust(certs(root), nil, c.lists)
			if err != nil {
				t.Fatal(err)
			}
			_, err = trust.VerifyChain(c.chain, noon, mustID(t, "gw.example"))
			if c.says != "" {
				wantRefusal(t, err, ErrCertificate, c.says)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// Lists that cannot be relied on are refused when they are loaded.
func TestRevocationListIsRefused(t *testing.T) {
	root := authority(t, nil, "root")
	extension := func(oid ...int) pkix.Extension {
		return pkix.Extension{Id: oid, Critical: true, Value: []byte{0x30, 0}}
	}
	for name, c := range map[string]struct {
		change func(*x509.RevocationList)
		says   string
	}{
		"delta":             {func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{extension(2, 5, 29, 27)} }, "partial"},
		"of certain points": {func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{extension(2, 5, 29, 28)} }, "partial"},
		"indirect, an entry": {func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: noon,
				ExtraExtensions: []pkix.Extension{extension(2, 5, 29, 29)}}}
		}, "entry"},
		"signed with SHA-1": {func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.ECDSAWithSHA1 }, "not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewTrust(certs(root), nil, []*x509.RevocationList{crl(t, root, day(0), c.change)})
			if err == nil {
				t.Fatal("no error")
			}
			wantRefusal(t, refuse(ErrCertificate, "%v", err), ErrCertificate, c.says)
		})
	}
	endless := crl(t, root, day(0), func(*x509.RevocationList) {})
	endless.NextUpdate = time.Time{}
	if _, err := NewTrust(certs(root), nil, []*x509.RevocationList{endless}); err == nil {
		t.Error("a list that never ends was taken")
	}
}

// day is noon and some days.
func day(n int) time.Time { return noon.AddDate(0, 0, n) }

// crls is one list that lives ten days from since on.
func crls(t testing.TB, issuer *entity, since time.Time, revoked ...*entity) []*x509.RevocationList {
	return []*x509.RevocationList{crl(t, issuer, since, func(l *x509.RevocationList) {
		for _, e := range revoked {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries,
				x509.RevocationListEntry{SerialNumber: e.cert.SerialNumber, RevocationTime: noon.AddDate(0, 0, -2)})
		}
	})}
}

func crl(t testing.TB, issuer *entity, since time.Time, change func(*x509.RevocationList)) *x509.RevocationList {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: since, NextUpdate: since.AddDate(0, 0, 10)}
	change(list)
	data, err := x509.CreateRevocationList(rand.Reader, list, issuer.cert, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseRevocationList(data)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// Whatever a peer sends, it is not believed and nothing breaks, unless it is the very chain.
func FuzzChain(f *testing.F) {
	root := authority(f, nil, "root")
	middle := authority(f, root, "middle")
	chain := sent(gateway(f, middle), middle)
	trust, err := NewTrust(certs(root), nil, crls(f, root, day(0)))
	if err != nil {
		f.Fatal(err)
	}
	id := mustID(f, "gw.example")
	f.Add(chain[0], chain[1])
	f.Add(chain[0], []byte(nil))
	f.Add(root.cert.Raw, chain[0])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		leaf, err := trust.VerifyChain([][]byte{first, second}, noon, id)
		if err == nil && !slices.EqualFunc([][]byte{first, second}, chain, bytes.Equal) {
			t.Fatalf("believed: %s", subject(leaf))
		}
		if _, err := trust.VerifyChain([][]byte{first}, noon, id); err == nil {
			t.Fatal("believed without the authority between")
		}
	})
}
