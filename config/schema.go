package config

import (
	"encoding/json"
	"slices"
	"sync"
)

// SchemaID names the JSON Schema. Editors want a file: twinbore schema > FILE, and as first line of a configuration
// "# yaml-language-server: $schema=FILE".
const SchemaID = "urn:twinbore:config:v1"

// Schema returns the JSON Schema (2020-12) of the format, indented, with a newline at its end. It describes the same
// kinds that the parser reads with; what spans several keys only Load knows.
func Schema() []byte {
	whole := schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     SchemaID,
		"title":   "Configuration of Twinbore",
	}
	for k, v := range documentKind.schema {
		whole[k] = v
	}
	text, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		panic("bug: the schema is not JSON: " + err.Error())
	}
	return append(text, '\n')
}

// homes tells of every key of the format which mappings it belongs in.
var homes = sync.OnceValue(func() map[string][]string {
	found := map[string][]string{}
	eachKey(documentKind.schema, "", func(parent, key string) {
		if parent == "" {
			parent = "the top level"
		}
		if !slices.Contains(found[key], parent) {
			found[key] = append(found[key], parent)
		}
	})
	for key := range found {
		slices.Sort(found[key])
		if len(found[key]) > 3 {
			delete(found, key) // a word so common that its places explain nothing
		}
	}
	return found
})

// eachKey calls f for every key that a schema allows, with the path of the mapping that it stands in.
func eachKey(s schema, path string, f func(parent, key string)) {
	if properties, ok := s["properties"].(schema); ok {
		for key, inner := range properties {
			f(path, key)
			below := key
			if path != "" {
				below = path + "." + key
			}
			eachKey(inner.(schema), below, f)
		}
	}
	if alternatives, ok := s["anyOf"].([]schema); ok {
		for _, a := range alternatives {
			eachKey(a, path, f)
		}
	}
	if items, ok := s["items"].(schema); ok {
		eachKey(items, path+"[]", f)
	}
	if values, ok := s["additionalProperties"].(schema); ok {
		eachKey(values, path+".NAME", f)
	}
}
