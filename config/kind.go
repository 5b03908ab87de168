package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// A schema is a JSON Schema, as encoding/json writes it.
type schema map[string]any

// A kind is one kind of value: how it is described to an editor and how it is read. The parser, the JSON Schema and
// the lists in messages all come from kinds, so that they cannot say different things.
type kind[T any] struct {
	schema schema
	merge  bool // a second file may add to the value instead of repeating it
	// read reads the value at p into what is there: defaults, or what an earlier file said. When the value is wrong
	// it reports that and leaves into as it is.
	read func(r *reader, p place, into *T)
}

// A misfit says why a text is not a value of its kind, and what was probably meant.
type misfit struct {
	reason string // "has host bits set"; "" when what is allowed says enough
	meant  string // "10.20.0.0/16"; "" when nobody can know
}

func (m *misfit) Error() string { return m.reason }

// scalar is a single value that parse understands, with the allowed values in words.
func scalar[T any](want string, describe schema, parse func(string) (T, error)) kind[T] {
	return kind[T]{schema: describe, read: func(r *reader, p place, into *T) {
		text, ok := r.text(p, want)
		if !ok {
			return
		}
		value, err := parse(text)
		if err == nil {
			*into = value
			return
		}
		why, ok := errors.AsType[*misfit](err)
		if !ok {
			why = &misfit{reason: err.Error()}
		}
		said, hint := r.shown(p.node), ""
		if why.reason != "" {
			said += " " + why.reason
		} else {
			said += " does not fit"
		}
		if why.meant != "" && !marked(p.node) && !r.hush {
			hint = fmt.Sprintf("did you mean %q?", why.meant)
		}
		r.refuse(p, said, want, hint)
	}}
}

// unquoted is a number or a truth: text in quotes is refused, so that "010" and 010 cannot be confused.
func unquoted[T any](want string, describe schema, parse func(string) (T, error)) kind[T] {
	inner := scalar(want, orEnv(describe), parse)
	return kind[T]{schema: inner.schema, read: func(r *reader, p place, into *T) {
		if p.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && !marked(p.node) {
			r.refuse(p, r.shown(p.node)+" is text, because of its quotes", want, "leave the quotes out")
			return
		}
		inner.read(r, p, into)
	}}
}

// orEnv adds ${env:NAME} to what an editor accepts for a number or a truth.
func orEnv(describe schema) schema {
	return schema{"anyOf": []schema{describe, {"type": "string", "pattern": `\$\{env:[A-Za-z_][A-Za-z0-9_]*\}`}}}
}

// quoted is text that must not be mistaken for a number or a truth: YAML's 1 and true need quotes to be text.
func quoted[T any](k kind[T]) kind[T] {
	inner := k.read
	k.read = func(r *reader, p place, into *T) {
		if p.node.Kind == yaml.ScalarNode && p.node.Tag != "!!str" && p.node.Tag != "!!timestamp" && !isNull(p.node) {
			r.refuse(p, r.shown(p.node)+" is no text in YAML", "text", "put it in quotes")
			return
		}
		inner(r, p, into)
	}
	return k
}

// choice is one of a few words.
func choice[T ~string](words ...T) kind[T] {
	var names []string
	for _, w := range words {
		names = append(names, string(w))
	}
	return scalar(oneOf(names), schema{"enum": names}, func(text string) (T, error) {
		if i := slices.Index(names, text); i >= 0 {
			return words[i], nil
		}
		meant, _ := nearest(text, names)
		return "", &misfit{meant: meant}
	})
}

// oneOf writes a list of words as a sentence has it.
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// orWord adds one word with a meaning of its own: auto, any, gateway.
func orWord[T any](word string, meaning T, k kind[T]) kind[T] {
	return kind[T]{
		schema: schema{"anyOf": []schema{{"const": word}, k.schema}},
		read: func(r *reader, p place, into *T) {
			if p.node.Kind == yaml.ScalarNode {
				if text, bad := r.expand(p.node); text == word && bad == nil {
					*into = meaning
					return
				}
			}
			p.also += word + " or "
			k.read(r, p, into)
		},
	}
}

// orNull allows null, which leaves the value as it is.
func orNull[T any](k kind[T]) kind[T] {
	return kind[T]{
		schema: schema{"anyOf": []schema{{"type": "null"}, k.schema}},
		read: func(r *reader, p place, into *T) {
			if !isNull(p.node) {
				k.read(r, p, into)
			}
		},
	}
}

// list is a list that replaces what was there. Nothing where a list is wanted is an empty list.
func list[T any](item kind[T]) kind[[]T] {
	return kind[[]T]{
		schema: listSchema(item.schema),
		read: func(r *reader, p place, into *[]T) {
			items := []T{}
			readItems(r, p, &items, func(*yaml.Node) (zero T) { return zero }, item)
			*into = items
		},
	}
}

// growing is a list that each file adds to. fresh makes the item that is read into: its defaults may depend on what
// the item says of itself.
func growing[T any](fresh func(*yaml.Node) T, item kind[T]) kind[[]T] {
	return kind[[]T]{
		schema: listSchema(item.schema),
		merge:  true,
		read:   func(r *reader, p place, into *[]T) { readItems(r, p, into, fresh, item) },
	}
}

func listSchema(item schema) schema {
	return schema{"type": []string{"array", "null"}, "items": item}
}

func readItems[T any](r *reader, p place, into *[]T, fresh func(*yaml.Node) T, item kind[T]) {
	switch {
	case isNull(p.node):
		return
	case p.node.Kind != yaml.SequenceNode:
		r.refuse(p, "found "+shape(p.node), "a list", "write it as [ … ], or as lines that start with a dash")
		return
	}
	for _, node := range p.node.Content {
		if r.full() {
			return
		}
		at := p.item(len(*into), node)
		value := fresh(node)
		r.at[at.path] = r.pos(node)
		item.read(r, at, &value)
		*into = append(*into, value)
	}
}

// mapping is a mapping whose keys the author chooses; name says what a key may be.
func mapping[T any](name kind[string], item kind[T]) kind[map[string]T] {
	return kind[map[string]T]{
		schema: schema{"type": []string{"object", "null"}, "propertyNames": name.schema, "additionalProperties": item.schema},
		merge:  true,
		read: func(r *reader, p place, into *map[string]T) {
			if !mappingAt(r, p) {
				return
			}
			grown := maps.Clone(*into)
			if grown == nil {
				grown = map[string]T{}
			}
			for i := 0; i+1 < len(p.node.Content) && !r.full(); i += 2 {
				keyNode := p.node.Content[i]
				var key string
				if name.read(r, p.in("", keyNode).named(p.path), &key); key == "" {
					continue
				}
				at := p.in(strconv.Quote(key), p.node.Content[i+1])
				if !r.first(at, keyNode, key) {
					continue
				}
				value := grown[key]
				item.read(r, at, &value)
				grown[key] = value
			}
			*into = grown
		},
	}
}

// named gives a key itself the path of the mapping it stands in.
func (p place) named(path string) place {
	p.path = path
	return p
}

// mappingAt reports what is no mapping. Nothing where a mapping is wanted is an empty one.
func mappingAt(r *reader, p place) bool {
	if isNull(p.node) {
		return false
	}
	if p.node.Kind != yaml.MappingNode {
		r.refuse(p, "found "+shape(p.node), "a mapping, as key: value", "")
		return false
	}
	return true
}

// first notes where a value stands, and reports one that stands somewhere else already.
func (r *reader) first(p place, key *yaml.Node, name string) bool {
	if before, ok := r.at[p.path]; ok {
		r.add(Problem{Pos: r.pos(key), Severity: Error, Path: p.path, Text: fmt.Sprintf("%q is set twice", clip(name)),
			Hint: fmt.Sprintf("it is already set at %v", before)})
		return false
	}
	r.at[p.path] = r.pos(p.node)
	return true
}
