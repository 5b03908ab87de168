package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// The names of the format are a contract: this list changes only on purpose.
func TestKeysOfTheFormat(t *testing.T) {
	var keys []string
	eachKey(documentKind.schema, "", func(parent, key string) {
		if line := strings.TrimPrefix(parent+"."+key, "."); !slices.Contains(keys, line) {
			keys = append(keys, line)
		}
	})
	slices.Sort(keys)
	golden(t, "testdata/keys.golden", strings.Join(keys, "\n")+"\n")
}

// Every key of the schema is one that the parser knows, in that place; the value null makes it complain of
// everything but the key.
func TestParserKnowsEveryKeyOfTheSchema(t *testing.T) {
	n := 0
	eachKey(documentKind.schema, "", func(parent, key string) {
		n++
		text := key + ": null"
		path := strings.Split(parent, ".")
		slices.Reverse(path)
		for _, step := range path {
			switch name, isList := strings.CutSuffix(step, "[]"); {
			case step == "":
			case isList:
				text = name + ": [{" + text + "}]"
			case name == "NAME":
				text = "any-name: {" + text + "}"
			default:
				text = name + ": {" + text + "}"
			}
		}
		for _, p := range problems(text) {
			if strings.Contains(p, "unknown key") {
				t.Errorf("%s\n%s", text, p)
			}
		}
	})
	if n < 150 {
		t.Errorf("the schema has %d keys", n)
	}
}

// Every key that the format's full example uses is in the schema, with a value that the schema allows; so are the
// examples and the base of these tests. What the parser refuses for its form, the schema refuses too.
func TestSchemaAgreesWithTheParser(t *testing.T) {
	var s any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	validate := func(text string) []string {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		return against(s.(map[string]any), v, "")
	}
	files, _ := filepath.Glob("../testdata/examples/*.yaml")
	for _, file := range append(files, "testdata/full.yaml", "../cmd/twinbore/sample.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := validate(string(text)); wrong != nil {
			t.Errorf("%s: %s", file, strings.Join(wrong, "\n"))
		}
	}
	for _, text := range []string{base, gate("asn: ${env:ASN}"), conn("description: x"), base + "crypto_profiles:\ndomains:\n"} {
		if wrong := validate(text); wrong != nil {
			t.Errorf("the schema refuses\n%s%s", text, strings.Join(wrong, "\n"))
		}
	}
	for _, text := range []string{
		gate("asm: 1"), gate("asn: 0"), gate(`asn: "65010"`), gate("name: [a]"), gate("name:"), gate("networks: 10.0.0.0/8"), gate("outside: [x]"),
		conn("start: allways"), conn("enabled: 1"), conn("description: 12"), conn("replay_window: 1000"), conn("dpd: {interval: 10}"), conn("dpd: {interval: soon}"),
		conn("lifetimes: {rekey_at: 78}"), conn("crypto: {esp: []}"), conn("crypto: {ike: a}"), conn("bgp: {advertise: all}"), conn("filter: {in: [{proto: tcp}]}"),
		strings.Replace(base, "name: office", "name: Office", 1), strings.Replace(base, "    routing: static\n", "", 1), strings.Replace(base, "remote:", "remotte:", 1),
		tun("psk: text"), tun("psk: {fiel: a}"), tun("psk: {exec: a}"), "apiVersion: v2\n", "[]\n",
	} {
		if wrong := validate(text); wrong == nil {
			t.Errorf("the schema allows\n%s", text)
		}
		if _, err := load(text); err == nil {
			t.Errorf("the parser allows\n%s", text)
		}
	}
}

// against is as much of JSON Schema as ours uses. It returns what is wrong.
func against(s map[string]any, v any, path string) (wrong []string) {
	bad := func(format string, args ...any) {
		wrong = append(wrong, path+": "+fmt.Sprintf(format, args...))
	}
	for key, rule := range s {
		switch key {
		case "$schema", "$id", "title", "description", "format":
		case "type":
			if !hasType(rule, v) {
				bad("%v is not of type %v", v, rule)
			}
		case "const":
			if !reflect.DeepEqual(rule, v) {
				bad("%v is not %v", v, rule)
			}
		case "enum":
			if !slices.ContainsFunc(rule.([]any), func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(v) }) {
				bad("%v is none of %v", v, rule)
			}
		case "pattern":
			if text, ok := v.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(text) {
				bad("%q does not match %v", text, rule)
			}
		case "minLength", "maxLength":
			if text, ok := v.(string); ok && (key == "minLength") == (float64(utf8.RuneCountInString(text)) < rule.(float64)) && float64(utf8.RuneCountInString(text)) != rule.(float64) {
				bad("%q breaks %s %v", text, key, rule)
			}
		case "minimum":
			if n, ok := v.(int); ok && float64(n) < rule.(float64) {
				bad("%v is below %v", v, rule)
			}
		case "maximum":
			if n, ok := v.(int); ok && float64(n) > rule.(float64) {
				bad("%v is above %v", v, rule)
			}
		case "minItems":
			if list, ok := v.([]any); ok && float64(len(list)) < rule.(float64) {
				bad("too short")
			}
		case "maxItems":
			if list, ok := v.([]any); ok && float64(len(list)) > rule.(float64) {
				bad("too long")
			}
		case "items":
			list, _ := v.([]any)
			for i, item := range list {
				wrong = append(wrong, against(rule.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i))...)
			}
		case "properties", "additionalProperties":
			properties, _ := s["properties"].(map[string]any)
			for name, value := range entries(v) {
				inner, known := properties[name].(map[string]any)
				if known != (key == "properties") {
					continue
				}
				if !known {
					if inner, known = rule.(map[string]any); !known {
						bad("unknown key %q", name)
						continue
					}
				}
				wrong = append(wrong, against(inner, value, path+"."+name)...)
			}
		case "propertyNames":
			for name := range entries(v) {
				wrong = append(wrong, against(rule.(map[string]any), name, path+" key")...)
			}
		case "required":
			for _, name := range rule.([]any) {
				if m := entries(v); m != nil {
					if _, ok := m[name.(string)]; !ok {
						bad("%v is missing", name)
					}
				}
			}
		case "anyOf":
			if !slices.ContainsFunc(rule.([]any), func(one any) bool { return against(one.(map[string]any), v, path) == nil }) {
				bad("%v fits no alternative", v)
			}
		default:
			bad("the schema uses %q, which this test does not know", key)
		}
	}
	return wrong
}

// entries is a mapping with its keys as text.
func entries(v any) map[string]any {
	switch m := v.(type) {
	case map[string]any:
		return m
	case map[any]any:
		out := map[string]any{}
		for key, value := range m {
			out[fmt.Sprint(key)] = value
		}
		return out
	}
	return nil
}

func hasType(rule, v any) bool {
	if several, ok := rule.([]any); ok {
		return slices.ContainsFunc(several, func(one any) bool { return hasType(one, v) })
	}
	switch v.(type) {
	case nil:
		return rule == "null"
	case bool:
		return rule == "boolean"
	case int:
		return rule == "integer" || rule == "number"
	case string:
		return rule == "string"
	case []any:
		return rule == "array"
	}
	return entries(v) != nil && rule == "object"
}
