package config

import (
	"fmt"

	"twinbore/config/secret"
)

// A refDraft collects every form of a reference; exactly one must be there.
type refDraft struct {
	file, env, credential, inline string
	exec                          []string
	generate                      bool
	encoding                      secret.Encoding
	remote                        map[secret.Kind]remoteSecret
}

// remoteSecret is a secret kept by a service. No service is asked yet; what stands here is only checked.
type remoteSecret struct {
	ARN, Name, JSONKey, VersionStage, Vault, Path, Key string
}

// secretKind is a reference to a secret. What stands there is never repeated in a message: it may be the secret,
// written where its place should be.
var secretKind = func() kind[secret.Ref] {
	draft := object(
		at("file", filePath, func(d *refDraft) *string { return &d.file }, "name in gateway.secrets.dir, or absolute path; mode 0600"),
		at("env", word("the name of an environment variable", envName.String()), func(d *refDraft) *string { return &d.env }, "environment variable"),
		at("credential", word("the name of a credential", `^[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,254}$`), func(d *refDraft) *string { return &d.credential }, "systemd credential"),
		at("exec", list(text(4096)), func(d *refDraft) *[]string { return &d.exec }, "command and arguments, run without a shell; prints the secret"),
		at("generate", truth, func(d *refDraft) *bool { return &d.generate }, "made once and kept in gateway.secrets.dir"),
		at("inline", text(3*secret.MaxLen), func(d *refDraft) *string { return &d.inline }, "the secret itself; not recommended"),
		at("encoding", choice(secret.Text, secret.Hex, secret.Base64), func(d *refDraft) *secret.Encoding { return &d.encoding }, "how the octets are written"),
		service(secret.AWSSecretsManager, "AWS Secrets Manager",
			at("arn", text(2048), func(s *remoteSecret) *string { return &s.ARN }, "ARN of the secret"),
			at("name", text(512), func(s *remoteSecret) *string { return &s.Name }, "name of the secret"),
			at("json_key", text(255), func(s *remoteSecret) *string { return &s.JSONKey }, "key in the JSON of the secret"),
			at("version_stage", text(255), func(s *remoteSecret) *string { return &s.VersionStage }, "stage of the version")),
		service(secret.AWSSSM, "AWS Parameter Store",
			at("name", text(2048), func(s *remoteSecret) *string { return &s.Name }, "name of the parameter")),
		service(secret.GCPSecret, "Google Secret Manager",
			at("name", text(2048), func(s *remoteSecret) *string { return &s.Name }, "name of the secret version")),
		service(secret.AzureKeyVault, "Azure Key Vault",
			at("vault", text(255), func(s *remoteSecret) *string { return &s.Vault }, "name of the vault"),
			at("name", text(255), func(s *remoteSecret) *string { return &s.Name }, "name of the secret")),
		service(secret.Vault, "HashiCorp Vault",
			at("path", text(2048), func(s *remoteSecret) *string { return &s.Path }, "path of the secret"),
			at("key", text(255), func(s *remoteSecret) *string { return &s.Key }, "key in the secret")),
	)
	return kind[secret.Ref]{schema: draft.schema, read: func(r *reader, p place, into *secret.Ref) {
		const want = "a reference to a secret: {file: …}, {env: …}, {credential: …}, {exec: […]}, {generate: true} or {inline: …}"
		defer r.quiet()()
		if shape(p.node) != "a mapping" {
			r.refuse(p, "found "+shape(p.node)+" (not shown)", want, "")
			return
		}
		var d refDraft
		before := len(r.problems)
		draft.read(r, p, &d)
		if len(r.problems) > before || r.full() {
			return
		}
		refs := d.refs(p.node.Content != nil && hasKey(p.node, "inline"))
		if len(refs) != 1 {
			r.refuse(p, fmt.Sprintf("found %d references", len(refs)), "exactly one: "+want[len("a reference to a secret: "):], "")
			return
		}
		ref := refs[0]
		if ref.Kind == secret.Generate && d.encoding != "" && d.encoding != secret.Text {
			r.refuse(p, "a generated secret is text", "", "leave encoding out")
			return
		}
		if why, hint := notAtRunTime(ref); r.runtime && why != "" {
			r.refuse(p, why, "", hint)
			return
		}
		ref.Encoding = d.encoding
		*into = ref
	}}
}()

// service is the field of a secret service.
func service(k secret.Kind, doc string, fields ...field[remoteSecret]) field[refDraft] {
	inner := object(fields...)
	return field[refDraft]{key: string(k), doc: doc, schema: inner.schema, read: func(r *reader, p place, d *refDraft) {
		var s remoteSecret
		inner.read(r, p, &s)
		if d.remote == nil {
			d.remote = map[secret.Kind]remoteSecret{}
		}
		d.remote[k] = s
	}}
}

// refs returns the references that the draft holds.
func (d refDraft) refs(inline bool) []secret.Ref {
	var refs []secret.Ref
	add := func(is bool, ref secret.Ref) {
		if is {
			refs = append(refs, ref)
		}
	}
	add(d.file != "", secret.Ref{Kind: secret.File, Name: d.file})
	add(d.env != "", secret.Ref{Kind: secret.Env, Name: d.env})
	add(d.credential != "", secret.Ref{Kind: secret.Credential, Name: d.credential})
	add(len(d.exec) > 0, secret.Ref{Kind: secret.Exec, Args: d.exec})
	add(d.generate, secret.Ref{Kind: secret.Generate})
	add(inline, secret.Ref{Kind: secret.Inline, Value: secret.New([]byte(d.inline))})
	for k := range d.remote {
		add(true, secret.Ref{Kind: k})
	}
	return refs
}

// quiet stops messages from repeating values until the returned function is called.
func (r *reader) quiet() func() {
	was := r.hush
	r.hush = true
	return func() { r.hush = was }
}
