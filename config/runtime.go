package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"twinbore/config/secret"
)

// An ObjectKind is what can be made at run time; its text is the key of the format that holds a list of them.
type ObjectKind string

// The kinds of objects.
const (
	ConnectionObject      ObjectKind = "connections"
	CustomerGatewayObject ObjectKind = "customer_gateways"
)

// Called is what messages call an object of this kind.
func (k ObjectKind) Called() string {
	if k == CustomerGatewayObject {
		return "customer gateway"
	}
	return "connection"
}

// An Object is a connection or a customer gateway that was made at run time: one item of the list of its kind, in the
// language of the files. It is never changed; Patch makes another one.
type Object struct {
	Kind ObjectKind
	Name string
	ID   string // as the text has it; "" without
	Text []byte // JSON, indented, the keys in the order of their author
}

// ParseObject reads one object, written as YAML or JSON. The error is Problems. What its values mean is found by
// Sources.Load.
func ParseObject(kind ObjectKind, text []byte) (Object, error) {
	nameless := Object{Kind: kind}
	root, problems := parse(nameless.String(), text)
	switch {
	case problems != nil:
		return Object{}, Problems(problems)
	case root == nil || root.Kind != yaml.MappingNode:
		return Object{}, Problems{{Pos: Pos{File: nameless.String()}, Severity: Error, Text: "found no mapping, as key: value"}}
	}
	o, err := objectOf(kind, root)
	if err != nil {
		return Object{}, Problems{{Pos: Pos{File: nameless.String()}, Severity: Error, Text: err.Error()}}
	}
	return o, nil
}

func objectOf(kind ObjectKind, root *yaml.Node) (Object, error) {
	name, _ := valueOf(root, "name")
	id, _ := valueOf(root, "id")
	compact, err := asJSON(root)
	if err != nil {
		return Object{}, err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, compact, "", "  "); err != nil {
		return Object{}, err
	}
	if text.Len() > maxFileSize {
		return Object{}, fmt.Errorf("longer than %d octets", maxFileSize)
	}
	return Object{Kind: kind, Name: name, ID: id, Text: text.Bytes()}, nil
}

// Patch returns the object with a merge patch applied (RFC 7396), written as YAML or JSON: null takes a key away, a mapping
// changes the keys that it has, and everything else replaces. The error is Problems.
func (o Object) Patch(patch []byte) (Object, error) {
	file := "the change of " + o.String()
	change, problems := parse(file, patch)
	switch {
	case problems != nil:
		return Object{}, Problems(problems)
	case change == nil || change.Kind != yaml.MappingNode:
		return Object{}, Problems{{Pos: Pos{File: file}, Severity: Error, Text: "found no mapping, as key: value"}}
	}
	root, problems := parse(o.String(), o.Text)
	if problems != nil {
		return Object{}, Problems(problems)
	}
	changed, err := objectOf(o.Kind, mergePatch(root, change))
	if err != nil {
		return Object{}, Problems{{Pos: Pos{File: file}, Severity: Error, Text: err.Error()}}
	}
	return changed, nil
}

// With returns the object with one more key, at the end of a path of mappings; value is written as YAML. Unlike Patch it keeps
// null, which is what a patch says to take a key away. The error is Problems.
func (o Object) With(path []string, value string) (Object, error) {
	root, problems := parse(o.String(), o.Text)
	if problems != nil {
		return Object{}, Problems(problems)
	}
	file := "the value of " + strings.Join(path, ".")
	node, problems := parse(file, []byte(value))
	switch {
	case problems != nil:
		return Object{}, Problems(problems)
	case node == nil:
		node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"}
	}
	at := root
	for _, name := range path[:len(path)-1] {
		i := keyIndex(at, name)
		if i == len(at.Content) {
			at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, &yaml.Node{Kind: yaml.MappingNode})
		}
		if at = at.Content[i+1]; at.Kind != yaml.MappingNode {
			return Object{}, Problems{{Pos: Pos{File: file}, Severity: Error, Path: name, Text: "found " + shape(at), Want: "a mapping, as key: value"}}
		}
	}
	last := path[len(path)-1]
	if i := keyIndex(at, last); i < len(at.Content) {
		at.Content[i+1] = node
	} else {
		at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: last}, node)
	}
	return objectOf(o.Kind, root)
}

// WithID returns the object with this id in its text, in place of one that is there.
func (o Object) WithID(id string) (Object, error) {
	root, problems := parse(o.String(), o.Text)
	if problems != nil {
		return Object{}, Problems(problems)
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: id}
	if i := keyIndex(root, "id"); i < len(root.Content) {
		root.Content[i+1] = value
	} else {
		after := min(keyIndex(root, "name")+2, len(root.Content))
		root.Content = slices.Insert(root.Content, after, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "id"}, value)
	}
	return objectOf(o.Kind, root)
}

// String is how messages name the object; as a Pos's File it stands for the file.
func (o Object) String() string {
	if o.Name == "" {
		return "this " + o.Kind.Called()
	}
	return fmt.Sprintf("%s %q (made at run time)", o.Kind.Called(), o.Name)
}

// read adds the object to c and reports whether it could be read at all.
func (o Object) read(r *reader, c *Config) bool {
	root, problems := parse(o.String(), o.Text)
	for _, p := range problems {
		r.add(p)
	}
	if root == nil {
		return false
	}
	r.file, r.runtime = o.String(), true
	defer func() { r.runtime = false }()
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{root}}
	document := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: string(o.Kind)}, list}}
	connections, gateways := len(c.Connections), len(c.CustomerGateways)
	documentKind.read(r, place{node: document}, c)
	for i := range c.Connections[connections:] {
		c.Connections[connections+i].Runtime = true
	}
	for i := range c.CustomerGateways[gateways:] {
		c.CustomerGateways[gateways+i].Runtime = true
	}
	return true
}

// notAtRunTime says why a reference to a secret may not stand in what is made at run time. Whoever may make connections must
// not choose what the daemon runs or which of its files and variables become keys, and what is kept of an object holds no
// secrets.
func notAtRunTime(ref secret.Ref) (why, hint string) {
	const put = "put the secret in a file in gateway.secrets.dir and name it with {file: NAME}, or leave it out to have one generated"
	switch {
	case ref.Kind == secret.Inline:
		return "a secret may not stand in what is made at run time", put
	case ref.Kind == secret.Exec, ref.Kind == secret.Env:
		return fmt.Sprintf("%s is for configuration files, not for what is made at run time", ref.Kind), put
	case ref.Kind == secret.File && !filepath.IsLocal(ref.Name):
		return "a file outside of gateway.secrets.dir is for configuration files, not for what is made at run time", put
	}
	return "", ""
}

// Document returns an object of the configuration as it stands in its file, as JSON; nil when there is none at path, or it was
// made at run time. Secrets that stand in the file itself are left out.
func (c *Config) Document(path string) []byte { return c.documents[path] }

// keepDocuments notes the objects of a file that has just been read.
func (c *Config) keepDocuments(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		list, end := root.Content[i+1], 0
		switch ObjectKind(root.Content[i].Value) {
		case ConnectionObject:
			end = len(c.Connections)
		case CustomerGatewayObject:
			end = len(c.CustomerGateways)
		}
		first := end - len(list.Content)
		if list.Kind != yaml.SequenceNode || first < 0 {
			continue
		}
		for j, n := range list.Content {
			if text, err := asJSON(hideInline(n)); err == nil {
				c.documents[item(root.Content[i].Value, first+j)] = text
			}
		}
	}
}

// hideInline is a copy of n whose secrets say only that they are there.
func hideInline(n *yaml.Node) *yaml.Node {
	out := *n
	out.Content = slices.Clone(n.Content)
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == string(secret.Inline) {
			out.Content[i] = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "[redacted]"}
			continue
		}
		out.Content[i] = hideInline(child)
	}
	return &out
}
