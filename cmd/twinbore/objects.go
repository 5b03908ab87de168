package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
	"twinbore/config"
)

// An objectCommand is the subcommands for one kind of what can be made while the daemon runs.
type objectCommand struct {
	*app
	kind   api.ObjectKind
	config config.ObjectKind
	use    string // the command
	plural string
	// flags are those of create and modify for the common cases. What they return turns what was given into a document.
	flags func(cmd *cobra.Command) func(*draft)
}

func (o *objectCommand) command(short string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   o.use,
		Short: short,
		Args:  noSubcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{o.create(), o.list(), o.show(), o.modify(), o.delete()} {
		sub.Args = asUsage(sub.Args)
		cmd.AddCommand(sub)
	}
	return cmd
}

func (o *objectCommand) called() string { return o.config.Called() }

// A draft is a document in the making. The first error stays.
type draft struct {
	doc config.Object
	err error
}

// set gives a key, dots between its parts, a value.
func (d *draft) set(key string, value any) {
	parts := strings.Split(key, ".")
	slices.Reverse(parts)
	for _, p := range parts {
		value = map[string]any{p: value}
	}
	text, err := json.Marshal(value)
	if err == nil && d.err == nil {
		d.doc, err = d.doc.Patch(text)
	}
	d.err = errors.Join(d.err, err)
}

// tags takes --tag NAME=TEXT.
func (d *draft) tags(list []string) {
	for _, tag := range list {
		name, value, ok := strings.Cut(tag, "=")
		if !ok || name == "" {
			d.err = errors.Join(d.err, usage("--tag %s is not NAME=TEXT", tag))
			return
		}
		text, err := json.Marshal(map[string]any{"tags": map[string]string{name: value}})
		if err == nil && d.err == nil {
			d.doc, err = d.doc.Patch(text)
		}
		d.err = errors.Join(d.err, err)
	}
}

// text reads -f: a file, or - for standard input.
func (o *objectCommand) text(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(o.in)
	}
	return os.ReadFile(file)
}

func (o *objectCommand) create() *cobra.Command {
	var file string
	var showSecrets bool
	cmd := &cobra.Command{
		Use:   "create name",
		Short: "Make a " + o.called() + " while the daemon runs",
		Long: "Make a " + o.called() + ` while the daemon runs. It is kept in gateway.state_dir and checked with the files by the same rules;
when the command returns, it is on the disk and in effect, and nothing else was touched.

-f names a file with one ` + o.called() + ` in the language of the configuration, as an item of ` + string(o.config) + ` would stand there, or - for
standard input; flags say the common things and win over the file. Secrets are references: {file: NAME} in
gateway.secrets.dir, or nothing, to have a key generated for each tunnel where the role is cloud.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "file with the "+o.called()+", or - for standard input")
	if o.kind == api.Connections {
		cmd.Flags().BoolVar(&showSecrets, "show-secrets", false, "print the generated keys (root only)")
	}
	apply := o.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if showSecrets && os.Geteuid() != 0 {
			return failure(exitPermission, errors.New("--show-secrets is for root"))
		}
		name, err := json.Marshal(args[0])
		if err != nil {
			return err
		}
		text := []byte(`{"name":` + string(name) + `}`)
		if file != "" {
			if text, err = o.text(file); err != nil {
				return err
			}
		}
		d := new(draft)
		if d.doc, d.err = config.ParseObject(o.config, text); d.err == nil && d.doc.Name == "" {
			d.set("name", args[0])
		}
		apply(d)
		if d.err != nil {
			return d.err
		}
		return o.change(cmd.Context(), api.ObjectChange{Verb: api.Create, Kind: o.kind, Name: args[0], Document: d.doc.Text}, showSecrets)
	}
	return cmd
}

func (o *objectCommand) modify() *cobra.Command {
	var file string
	var replace bool
	var sets []string
	cmd := &cobra.Command{
		Use:   "modify name",
		Short: "Change a " + o.called() + " that was made while the daemon runs",
		Long: "Change a " + o.called() + ` that was made while the daemon runs. What is not said stays: -f names a file with the keys that
change, and null takes a key away (RFC 7396); with --replace the file is the whole new ` + o.called() + `. --set dpd.interval=20s sets one
key. Only what depends on a changed key is touched; ` + "`twinbore diff`" + ` says what a change in a file would cost.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "file with the keys that change, or - for standard input")
	cmd.Flags().BoolVar(&replace, "replace", false, "the file is the whole "+o.called())
	cmd.Flags().StringArrayVar(&sets, "set", nil, "KEY=VALUE, the value as in YAML, null to take it away; repeatable")
	apply := o.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change := api.ObjectChange{Verb: api.Patch, Kind: o.kind, Name: args[0]}
		text := []byte("{}")
		if file != "" {
			var err error
			if text, err = o.text(file); err != nil {
				return err
			}
		}
		if replace {
			change.Verb = api.Put
			if file == "" {
				return usage("--replace needs the whole %s: -f FILE", o.called())
			}
		}
		d := new(draft)
		d.doc, d.err = config.ParseObject(o.config, text)
		for _, s := range sets {
			d.setText(s)
		}
		apply(d)
		if d.err != nil {
			return d.err
		}
		if string(d.doc.Text) == "{}" {
			return usage("there is nothing to change; see %s --help", cmd.CommandPath())
		}
		change.Document = d.doc.Text
		return o.change(cmd.Context(), change, false)
	}
	return cmd
}

// setText takes --set KEY=VALUE. As in a merge patch, null stays: it takes a key away at the daemon.
func (d *draft) setText(text string) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		d.err = errors.Join(d.err, usage("--set %s is not KEY=VALUE", text))
		return
	}
	if d.err == nil {
		d.doc, d.err = d.doc.With(strings.Split(key, "."), value)
	}
}

// change asks for it and says what came of it.
func (o *objectCommand) change(ctx context.Context, c api.ObjectChange, showSecrets bool) error {
	format, err := o.format("table", "json", "yaml", "name")
	if err != nil {
		return err
	}
	var done api.ObjectChanged
	var raw []byte
	err = o.ask(ctx, func(ctx context.Context, client *api.Client) (err error) {
		done, raw, err = client.ChangeObject(ctx, c)
		return err
	})
	switch {
	case err != nil:
		return err
	case format == "name":
		_, err = fmt.Fprintln(o.out, done.Object.Name)
		return err
	case format != "table":
		return o.writeRaw(format, raw)
	case o.quiet:
		return nil
	}
	word := "changed"
	switch {
	case done.Created:
		word = "created"
	case !done.Changed:
		word = "is like that already"
	}
	fmt.Fprintf(o.out, "%s %q %s: %s\n", o.called(), done.Object.Name, word, deref(done.Object.ID))
	if !done.Created {
		return nil
	}
	for _, s := range done.Object.Secrets {
		line := "key of tunnel " + s.Tunnel + " generated: " + s.File
		if showSecrets {
			key, err := os.ReadFile(s.File)
			if err != nil {
				return err
			}
			line += ": " + strings.TrimSpace(string(key))
		}
		fmt.Fprintln(o.out, "  "+line)
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return absent
	}
	return *s
}

func (o *objectCommand) list() *cobra.Command {
	var tags []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List " + o.plural + ", and those that were deleted in the last hour",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := o.format("table", "json", "yaml", "name")
			if err != nil {
				return err
			}
			var got api.Objects
			err = o.ask(cmd.Context(), func(ctx context.Context, c *api.Client) (err error) {
				got, _, err = c.Objects(ctx, o.kind)
				return err
			})
			if err != nil {
				return err
			}
			got.Objects = slices.DeleteFunc(got.Objects, func(obj api.Object) bool { return !tagged(obj.Tags, tags) })
			switch format {
			case "table":
				_, err = io.WriteString(o.out, objectTable(got.Objects))
				return err
			case "name":
				for _, obj := range got.Objects {
					if obj.Deleted == nil {
						fmt.Fprintln(o.out, obj.Name)
					}
				}
				return nil
			}
			raw, err := json.Marshal(got)
			if err != nil {
				return err
			}
			return o.writeRaw(format, raw)
		},
	}
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "only those with this tag: NAME or NAME=TEXT; repeatable, all must be there")
	return cmd
}

// tagged reports whether all that is wanted is among the tags (R17).
func tagged(tags map[string]string, want []string) bool {
	for _, w := range want {
		name, text, exact := strings.Cut(w, "=")
		if value, ok := tags[name]; !ok || exact && value != text {
			return false
		}
	}
	return true
}

// objectTable is the list for people.
func objectTable(objects []api.Object) string {
	rows := [][]string{{"NAME", "ID", "STATE", "SOURCE", "TAGS", "DETAIL"}}
	for _, obj := range objects {
		source, tags, detail := obj.Source, []string{}, ""
		for _, name := range slices.Sorted(maps.Keys(obj.Tags)) {
			tags = append(tags, name+"="+obj.Tags[name])
		}
		switch {
		case obj.Left != nil:
			detail = "listed for " + span(time.Duration(*obj.Left)*time.Second)
		case obj.Problem != nil:
			detail, _, _ = strings.Cut(*obj.Problem, "\n")
		case len(obj.UsedBy) > 0:
			detail = "used by " + strings.Join(obj.UsedBy, ", ")
		}
		if obj.At != nil {
			source = *obj.At
		}
		text := strings.Join(tags, ",")
		if text == "" {
			text = absent
		}
		rows = append(rows, []string{obj.Name, deref(obj.ID), obj.State, source, text, detail})
	}
	var out strings.Builder
	writeRows(&out, rows, func(cell, _ string) string { return cell })
	return out.String()
}

func (o *objectCommand) show() *cobra.Command {
	return &cobra.Command{
		Use:   "show name",
		Short: "Show a " + o.called() + " as it stands in a file, or as it was made",
		Long: "Show a " + o.called() + ` in the language of the configuration. What is printed can be given back with create -f or modify -f.
-o json and -o yaml add what the daemon knows of it. ` + "`twinbore status`" + ` says how its tunnels are.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := o.format("table", "json", "yaml")
			if err != nil {
				return err
			}
			var got api.Object
			var raw []byte
			err = o.ask(cmd.Context(), func(ctx context.Context, c *api.Client) (err error) {
				got, raw, err = c.Object(ctx, o.kind, args[0])
				return err
			})
			if err != nil {
				return err
			}
			if format != "table" {
				return o.writeRaw(format, raw)
			}
			return o.writeObject(got)
		},
	}
}

// writeObject writes the document, with the rest as its comment.
func (o *objectCommand) writeObject(obj api.Object) error {
	fmt.Fprintf(o.out, "# %s %q: %s\n", o.called(), obj.Name, obj.State)
	if obj.At != nil {
		fmt.Fprintf(o.out, "# from %s\n", *obj.At)
	} else if obj.Created != nil {
		fmt.Fprintf(o.out, "# made at run time, %s; last changed %s\n", obj.Created.Format(time.RFC3339), obj.Modified.Format(time.RFC3339))
	}
	if obj.Left != nil {
		fmt.Fprintf(o.out, "# %s, deleted %s; listed for %s\n", deref(obj.ID), obj.Deleted.Format(time.RFC3339), span(time.Duration(*obj.Left)*time.Second))
	}
	if obj.Problem != nil {
		fmt.Fprintf(o.out, "# not in effect: %s\n", strings.ReplaceAll(*obj.Problem, "\n", "\n# "))
	}
	for _, s := range obj.Secrets {
		fmt.Fprintf(o.out, "# key of tunnel %s: %s\n", s.Tunnel, s.File)
	}
	if len(obj.Document) == 0 || string(obj.Document) == "null" {
		return nil
	}
	text, err := yamlOf(obj.Document)
	if err != nil {
		return err
	}
	_, err = o.out.Write(text)
	return err
}

func (o *objectCommand) delete() *cobra.Command {
	var yes, wait bool
	cmd := &cobra.Command{
		Use:   "delete name",
		Short: "Delete a " + o.called() + " that was made while the daemon runs",
		Args:  cobra.ExactArgs(1),
	}
	switch o.kind {
	case api.Connections:
		cmd.Long = `Delete a connection that was made while the daemon runs: its peers are told, its routes are taken away, and so are the keys
that were generated for it. It is listed for one hour as deleted, its id is never used again, and there is no way back.`
		cmd.Flags().BoolVar(&wait, "wait", false, "wait until its peers were told, at most --timeout; exit code 7: they were not")
	default:
		cmd.Long = `Delete a customer gateway that was made while the daemon runs. One that connections name cannot be deleted. It is listed for
one hour as deleted, and its id is never used again.`
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it; without this nothing is done")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !yes {
			return failure(exitRefused, fmt.Errorf("deleting %s %q cannot be undone; say --yes to do it", o.called(), args[0]))
		}
		var done api.ObjectChanged
		err := o.ask(cmd.Context(), func(ctx context.Context, c *api.Client) (err error) {
			done, _, err = c.ChangeObject(ctx, api.ObjectChange{Verb: api.Delete, Kind: o.kind, Name: args[0]})
			return err
		})
		if err == nil && wait && done.Object.State != "deleted" {
			err = o.waitDeleted(cmd.Context(), args[0])
		}
		if err != nil || o.quiet {
			return err
		}
		_, err = fmt.Fprintf(o.out, "%s %q deleted: %s\n", o.called(), args[0], deref(done.Object.ID))
		return err
	}
	return cmd
}

// errStillDeleting says that --wait has waited long enough.
var errStillDeleting = errors.New("still being deleted")

// waitDeleted returns when a connection's peers were told, or waited for long enough by the daemon.
func (o *objectCommand) waitDeleted(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	client := api.NewClient(o.socket)
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		obj, _, err := client.Object(ctx, o.kind, name)
		switch {
		case err == nil && obj.State == "deleted":
			return nil
		case err != nil && ctx.Err() == nil:
			return asExit(err)
		}
		select {
		case <-ctx.Done():
			return failure(exitTimeout, fmt.Errorf("connection %q: %w after %s", name, errStillDeleting, o.timeout))
		case <-poll.C:
		}
	}
}
