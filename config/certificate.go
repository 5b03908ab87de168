package config

import "twinbore/config/secret"

// Certificate is what auth: certificate needs.
type Certificate struct {
	Cert string
	Key  secret.Ref
	CA   []string
	CRL  []string
}

// PPK is a post-quantum pre-shared key (RFC 8784).
type PPK struct {
	ID       string
	Secret   secret.Ref
	Required bool
}

var certificateKind = object(
	at("cert", filePath, func(c *Certificate) *string { return &c.Cert }, "file with our certificate"),
	at("key", secretKind, func(c *Certificate) *secret.Ref { return &c.Key }, "our private key"),
	at("ca", list(filePath), func(c *Certificate) *[]string { return &c.CA }, "files with the authorities that we trust"),
	at("crl", list(filePath), func(c *Certificate) *[]string { return &c.CRL }, "files with revoked certificates"),
)

var ppkKind = object(
	at("id", text(255), func(p *PPK) *string { return &p.ID }, "name of the key, as the peer knows it"),
	at("secret", orNull(secretKind), func(p *PPK) *secret.Ref { return &p.Secret }, "the key"),
	at("required", truth, func(p *PPK) *bool { return &p.Required }, "refuse a peer without it"),
)
