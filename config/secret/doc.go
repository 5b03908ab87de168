// Package secret holds what must not be shown, and knows where it comes from.
//
//	{file: …} {env: …} {credential: …} {exec: …} {generate: true} {inline: …}
//	      └──────────────── Ref ──── Store.Resolve ────► Secret ──► Reveal, at the one place that needs the octets
//
// The configuration carries a Ref, which may be logged and printed; the octets appear only when Resolve is called
// and only inside a Secret, which prints as [redacted] in every way that Go can print (SEC-03).
//
// Files are judged by their open descriptor and not by their path (SEC-01): a regular file, owned by root or by us,
// that nobody else can read or change. An error never quotes what was read.
//
// A Store has no state: each Resolve looks again, so that a rotated secret is found. One that is kept in a file can be
// replaced here (Rotate); the one before it then lies beside it for as long as it is accepted, and its name says until
// when. Secrets kept by cloud services have their Kind here, because the file format names them, and are not fetched yet.
//
// Start reading at secret.go, then ref.go and resolve.go; rotate.go changes secrets.
package secret
