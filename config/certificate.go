package config

import (
	"fmt"

	"twinbore/config/secret"
)

// Certificate is what auth: certificate needs. File names that are not absolute are beside the configuration file; the
// key's is a secret and in gateway.secrets.dir. The files are not looked into here.
type Certificate struct {
	Cert string     // ours, and those between it and its authority
	Key  secret.Ref // its private key
	CA   []string   // the authorities that we trust
	CRL  []string   // what they have revoked
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

// certificate checks that what auth: certificate needs is there. What is in the files is another matter.
func (k *checker) certificate(path string, c *Connection) {
	at := path + ".certificate"
	for _, need := range []struct {
		key  string
		have bool
	}{{"cert", c.Certificate.Cert != ""}, {"key", !c.Certificate.Key.IsZero()}, {"ca", len(c.Certificate.CA) > 0}} {
		if !need.have && !k.has(at+"."+need.key) {
			k.refuse(at, fmt.Sprintf("auth: certificate needs certificate.%s", need.key), "certificate: {cert: gw.pem, key: {file: gw.key}, ca: [ca.pem]}")
		}
	}
	switch key := c.Certificate.Key; {
	case key.Kind == secret.Generate:
		k.refuse(at+".key", "a private key belongs to its certificate and cannot be generated", "openssl genpkey, then request a certificate for it")
	case key.Kind == secret.Inline && k.Gateway.StrictSecrets:
		k.refuse(at+".key", "a secret stands in the configuration itself, and strict_secrets forbids that", "use {file: …}")
	case key.Kind == secret.Inline:
		k.warn(at+".key", "a secret stands in the configuration itself", "use {file: …}, and chmod 600 this file until then")
	}
	if c.AllowWeak {
		k.warn(path+".allow_weak", fmt.Sprintf("connection %s allows signatures with SHA-1 to an RSA peer that does not know RFC 7427", c.called()), "leave it out if the peer can do signature authentication (RFC 7427)")
	}
	for i, t := range c.Tunnels {
		tunnel := item(path+".tunnels", i)
		if !t.PSK.Current.IsZero() {
			k.warn(tunnel+".psk", "the pre-shared key is not used", "auth: certificate stands at the connection")
		}
		if t.Remote.Any && t.RemoteID == "" && !k.has(tunnel+".remote_id") {
			k.refuse(tunnel+".remote_id", "remote: any needs remote_id", "what the peer's certificate names: a host name, or its subject")
		}
	}
}
