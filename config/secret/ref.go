package secret

import "strings"

// A Kind is a place that secrets come from; its text is the key in the configuration.
type Kind string

// The kinds of reference. Those after Inline are named by the file format and are not resolved yet.
const (
	File       Kind = "file"
	Env        Kind = "env"
	Credential Kind = "credential"
	Exec       Kind = "exec"
	Generate   Kind = "generate"
	Inline     Kind = "inline"

	AWSSecretsManager Kind = "aws_secretsmanager"
	AWSSSM            Kind = "aws_ssm"
	GCPSecret         Kind = "gcp_secret"
	AzureKeyVault     Kind = "azure_keyvault"
	Vault             Kind = "vault"
)

// An Encoding says how the octets are written at their place.
type Encoding string

// The encodings. Text is taken as it stands, without a trailing newline.
const (
	Text   Encoding = "text"
	Hex    Encoding = "hex"
	Base64 Encoding = "base64"
)

// A Ref says where a secret comes from. It holds no secret itself, but for Inline, and can be printed. The zero
// value refers to nothing.
type Ref struct {
	Kind     Kind
	Name     string   // File: name in the secrets folder or absolute path; Env: variable; Credential: name; Generate: file name to keep it in
	Args     []string // Exec: command and arguments
	Value    Secret   // Inline: as written, not decoded
	Encoding Encoding // "" means Text
}

// IsZero reports whether the reference refers to nothing.
func (r Ref) IsZero() bool { return r.Kind == "" }

// Remote reports whether the secret is kept by a service that this build cannot ask.
func (r Ref) Remote() bool {
	switch r.Kind {
	case AWSSecretsManager, AWSSSM, GCPSecret, AzureKeyVault, Vault:
		return true
	}
	return false
}

// String names the place: "file aws-1.psk". Arguments of a command are left out; they may be secret themselves.
func (r Ref) String() string {
	switch r.Kind {
	case "":
		return "no secret"
	case Exec:
		return "exec " + strings.Join(r.Args[:min(1, len(r.Args))], "")
	case File, Env, Credential:
		return string(r.Kind) + " " + r.Name
	case Generate:
		return "generated " + r.Name
	}
	return string(r.Kind)
}
