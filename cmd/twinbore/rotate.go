package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
	"twinbore/config/secret"
)

func newRotatePSK(a *app) *cobra.Command {
	var from, encoding string
	var generate bool
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "rotate-psk connection/tunnel",
		Short: "Replace the pre-shared key of a tunnel without an interruption",
		Long: `Replace the pre-shared key of one tunnel where the gateway keeps it: psk: {file: …} or {generate: true}. Any other place
has an owner of its own, and the refusal says what to do there.

The live SAs stay. The key before the new one is accepted until the grace is over, whichever end begins: as responder both
are tried, as initiator the new one and then the old one. So the two ends can be changed one after the other, in either order.
The old key lies beside the new one (FILE.until-TIME, mode 0600) until its time is over, so that a restart knows it, too.

The new key comes from --from, or is made (--generate, the default). It is never shown: read it from the file that is named.
--from file:PATH | env:NAME | - (standard input, one line); --encoding says how it is written there.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := a.format("table", "json")
			if err != nil {
				return err
			}
			r := api.Rotation{GraceSeconds: int64(grace / time.Second)}
			if r.Connection, r.Tunnel, err = target(args[0]); err != nil {
				return err
			}
			switch {
			case r.Tunnel == "": // R58
				return usage("%s names a connection: keys are changed one tunnel at a time (%s/1, then %s/2)", args[0], args[0], args[0])
			case generate && from != "":
				return usage("--generate and --from exclude each other")
			case grace < 0 || grace > api.MaxGrace:
				return usage("--grace %v: it is from 0 to %v", grace, api.MaxGrace)
			}
			if from != "" {
				next, err := a.secretFrom(cmd.Context(), from, secret.Encoding(encoding))
				if err != nil {
					return err
				}
				defer next.Wipe()
				r.Secret = next.Reveal()
			}
			return a.rotatePSK(cmd.Context(), format, r)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "where the new key is: file:PATH, env:NAME or - for standard input")
	cmd.Flags().StringVar(&encoding, "encoding", "text", "how it is written there: text, hex or base64")
	cmd.Flags().BoolVar(&generate, "generate", false, "let the gateway make the new key (default)")
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the old key is accepted; 0: not any more")
	return cmd
}

// secretFrom reads a new key with the rights of whoever runs the command.
func (a *app) secretFrom(ctx context.Context, from string, as secret.Encoding) (secret.Secret, error) {
	if !slices.Contains([]secret.Encoding{secret.Text, secret.Hex, secret.Base64}, as) {
		return secret.Secret{}, usage("--encoding %s: there are text, hex and base64", as)
	}
	kind, name, _ := strings.Cut(from, ":")
	ref := secret.Ref{Kind: secret.Kind(kind), Name: name, Encoding: as}
	switch {
	case from == "-":
		line, err := io.ReadAll(io.LimitReader(a.in, 4*secret.MaxLen))
		if err != nil {
			return secret.Secret{}, fmt.Errorf("reading the new key: %w", err)
		}
		ref = secret.Ref{Kind: secret.Inline, Value: secret.New(line), Encoding: as}
	case kind == "file" && name != "":
		path, err := filepath.Abs(name)
		if err != nil {
			return secret.Secret{}, err
		}
		ref.Name = path
	case kind == "env" && name != "":
	default:
		return secret.Secret{}, usage("--from is file:PATH, env:NAME or -, and never the key itself") // which is not repeated
	}
	found, err := secret.Store{LookupEnv: os.LookupEnv}.Resolve(ctx, ref)
	if err != nil && from == "-" {
		return found, fmt.Errorf("the new key on standard input: %w", err)
	}
	return found, err
}

// rotatePSK asks for it, and says what came of it and what is left to do.
func (a *app) rotatePSK(ctx context.Context, format string, r api.Rotation) error {
	var done api.Rotated
	var st api.Status
	err := a.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
		if done, err = c.Rotate(ctx, r); err != nil {
			return err
		}
		st, _, err = c.Status(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(a, done)
	}
	if a.quiet {
		return nil
	}
	_, err = io.WriteString(a.out, rotatedText(done, st))
	return err
}

// rotatedText is what an operator has to know after a rotation.
func rotatedText(done api.Rotated, st api.Status) string {
	var out strings.Builder
	line := func(word, format string, args ...any) {
		fmt.Fprintf(&out, "  %-8s"+format+"\n", append([]any{word}, args...)...)
	}
	name := done.Connection + "/" + done.Tunnel
	fmt.Fprintf(&out, "%s: the pre-shared key is replaced\n", name)
	made := ""
	if done.Generated {
		made = "made by the gateway, "
	}
	line("new", "%snot shown: it is in %s", made, done.Place)
	if done.Weakness != nil {
		line("weak", "%s", *done.Weakness)
	}
	if done.PreviousUntil != nil {
		line("old", "accepted until %s", done.PreviousUntil.UTC().Format(time.RFC3339))
		line("outage", "%d s expected: live SAs stay, and whoever begins a new one may have either key", *done.OutageSeconds)
	} else {
		line("old", "not accepted any more")
		line("outage", "none now: live SAs stay; a new one cannot be made until the peer has the new key, too")
	}
	peer := "the peer"
	var others []string
	for _, c := range st.Connections {
		if c.Name != done.Connection {
			continue
		}
		for _, t := range c.Tunnels {
			if t.Name == done.Tunnel {
				if t.Remote != nil {
					peer += " " + address(t.Remote)
				}
				continue
			}
			others = append(others, fmt.Sprintf("tunnel %s is %s", t.Name, t.Status))
		}
	}
	line("to do", "give %s the new key for this tunnel", peer)
	line("then", "`twinbore restart %s` makes both ends use it (%s)", name, strings.Join(append(others, "or wait for the next IKE SA"), ", "))
	line("check", "`twinbore status %s -o json`: ike.secret is \"current\" when the peer has used the new key", done.Connection)
	return out.String()
}
