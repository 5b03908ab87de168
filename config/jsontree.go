package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// asJSON writes a tree as JSON that is read back as the same tree.
func asJSON(n *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	if err := writeJSON(&out, n); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeJSON(out *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		out.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind != yaml.ScalarNode {
				return errors.New("found " + shape(n.Content[i]) + " as a key")
			}
			if i > 0 {
				out.WriteByte(',')
			}
			writeText(out, n.Content[i].Value)
			out.WriteByte(':')
			if err := writeJSON(out, n.Content[i+1]); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, child := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeJSON(out, child); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	default:
		writeScalar(out, n)
	}
	return nil
}

// writeScalar keeps numbers and truths what they are; a number in another form than JSON's is text, which the reader judges.
func writeScalar(out *bytes.Buffer, n *yaml.Node) {
	switch {
	case isNull(n):
		out.WriteString("null")
	case (n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!bool") && json.Valid([]byte(n.Value)):
		out.WriteString(n.Value)
	default:
		writeText(out, n.Value)
	}
}

// writeText writes a string, with what HTML does not like as it is: this is read by people.
func writeText(out *bytes.Buffer, s string) {
	quoted := strconv.Quote(s)
	if json.Valid([]byte(quoted)) && !strings.Contains(quoted, `\u`) {
		out.WriteString(quoted)
		return
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic("bug: a text is not JSON: " + err.Error())
	}
	out.Write(text)
}

// mergePatch is the algorithm of RFC 7396 §2, which keeps the order of the keys.
func mergePatch(target, patch *yaml.Node) *yaml.Node {
	if patch.Kind != yaml.MappingNode {
		return patch
	}
	out := &yaml.Node{Kind: yaml.MappingNode}
	if target != nil && target.Kind == yaml.MappingNode {
		out.Content = slices.Clone(target.Content)
	}
	for i := 0; i+1 < len(patch.Content); i += 2 {
		key, value := patch.Content[i], patch.Content[i+1]
		at := keyIndex(out, key.Value)
		switch {
		case isNull(value) && at < len(out.Content):
			out.Content = slices.Delete(out.Content, at, at+2)
		case isNull(value):
		case at < len(out.Content):
			out.Content[at+1] = mergePatch(out.Content[at+1], value)
		default:
			out.Content = append(out.Content, key, mergePatch(nil, value))
		}
	}
	return out
}

// keyIndex is where a key stands among the contents of a mapping; their number when it is not there.
func keyIndex(mapping *yaml.Node, key string) int {
	at := 0
	for at < len(mapping.Content) && mapping.Content[at].Value != key {
		at += 2
	}
	return at
}
