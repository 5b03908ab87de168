package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A field is one key of a mapping whose keys are fixed.
type field[T any] struct {
	key      string
	doc      string // one line for an editor's tooltip
	schema   schema
	merge    bool
	required bool
	read     func(r *reader, p place, into *T)
}

// at is the field of T with this key, kind and place in the struct.
func at[T, V any](key string, k kind[V], of func(*T) *V, doc string) field[T] {
	return field[T]{key: key, doc: doc, schema: k.schema, merge: k.merge,
		read: func(r *reader, p place, into *T) { k.read(r, p, of(into)) }}
}

// must marks a field that has no default.
func must[T any](f field[T]) field[T] {
	f.required = true
	return f
}

// object is a mapping with these keys and no others. It is read over what is there, so that defaults, presets and
// earlier files show through.
func object[T any](fields ...field[T]) kind[T] {
	keys, describe := describeFields(fields)
	return kind[T]{schema: describe, merge: true, read: func(r *reader, p place, into *T) {
		if isNull(p.node) && describe["required"] != nil {
			r.refuse(p, "found nothing", "a mapping, as key: value", "")
			return
		}
		if !mappingAt(r, p) {
			return
		}
		for i := 0; i+1 < len(p.node.Content) && !r.full(); i += 2 {
			key, value := p.node.Content[i], p.node.Content[i+1]
			f := slices.IndexFunc(fields, func(f field[T]) bool { return key.Kind == yaml.ScalarNode && f.key == key.Value })
			if f < 0 {
				r.unknownKey(p, key, keys)
				continue
			}
			at := p.in(fields[f].key, value)
			if r.once(at, key, fields[f].merge) {
				fields[f].read(r, at, into)
			}
		}
		for _, f := range fields {
			if _, ok := r.at[p.in(f.key, nil).path]; f.required && !ok {
				r.refuse(p, f.key+" is missing", "", f.doc)
			}
		}
	}}
}

func describeFields[T any](fields []field[T]) ([]string, schema) {
	var keys, required []string
	properties := schema{}
	for _, f := range fields {
		keys = append(keys, f.key)
		described := schema{"description": f.doc}
		for k, v := range f.schema {
			described[k] = v
		}
		properties[f.key] = described
		if f.required {
			required = append(required, f.key)
		}
	}
	describe := schema{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
	if required != nil {
		describe["type"] = "object"
		describe["required"] = required
	}
	return keys, describe
}

// once notes where a key stands and reports one that is set twice: in one mapping always, and in another file when
// the two values cannot be merged.
func (r *reader) once(p place, key *yaml.Node, merge bool) bool {
	before, ok := r.at[p.path]
	if ok && merge && before.File != r.file {
		return true
	}
	return r.first(p, key, key.Value)
}

func (r *reader) unknownKey(p place, key *yaml.Node, keys []string) {
	hint := ""
	if meant, ok := nearest(key.Value, keys); ok {
		hint = fmt.Sprintf("did you mean %q?", meant)
	} else if homes := r.homes[key.Value]; len(homes) > 0 {
		hint = "it belongs under " + oneOf(homes)
	}
	text := "unknown key " + r.shown(key)
	if r.hush {
		text = "unknown key (not shown)"
	}
	if key.Kind != yaml.ScalarNode {
		text = "found " + shape(key) + " as a key"
	}
	r.add(Problem{Pos: r.pos(key), Severity: Error, Path: p.path, Text: text, Want: strings.Join(keys, ", "), Hint: hint})
}
