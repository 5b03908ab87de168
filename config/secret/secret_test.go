package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const canary = "canary-7Hq2.secret"

// SEC-03: whatever prints a Secret, alone, in a struct, in a private field or behind a pointer, prints [redacted].
func TestNoFormatterShowsASecret(t *testing.T) {
	s := New([]byte(canary))
	type public struct{ PSK Secret }
	type hidden struct {
		psk  Secret
		refs []Ref
	}
	ref := Ref{Kind: Inline, Value: s}
	values := []any{s, &s, public{s}, &public{s}, hidden{s, []Ref{ref}}, &hidden{s, nil}, []Secret{s}, map[string]Secret{"a": s}, ref, &ref}
	seen := func(how string, out string) {
		if strings.Contains(out, canary) || strings.Contains(out, fmt.Sprintf("%x", canary)) || strings.Contains(out, "99 97 110 97 114 121") {
			t.Errorf("%s shows the secret: %s", how, out)
		}
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%08b", "%c", "%U", "%t"} {
			seen(fmt.Sprintf("%T with %s", v, verb), fmt.Sprintf(verb, v))
		}
		seen("Sprint", fmt.Sprint(v))
		if b, err := json.Marshal(v); err == nil {
			seen("json", string(b))
		}
		if b, err := xml.Marshal(v); err == nil {
			seen("xml", string(b))
		}
		if _, private := v.(hidden); !private {
			if b, err := yaml.Marshal(v); err == nil {
				seen("yaml", string(b))
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "secret", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "secret", v)
		seen("slog", log.String())
	}
	for _, got := range []string{s.String(), s.GoString(), fmt.Sprintf("%+v", public{s})} {
		if !strings.Contains(got, Redacted) {
			t.Errorf("printed %q, want %s in it", got, Redacted)
		}
	}
}

func TestEqualAndWipe(t *testing.T) {
	s := New([]byte(canary))
	copied := s
	if !s.Equal(New([]byte(canary))) || s.Equal(New([]byte("another secret"))) || s.Equal(Secret{}) {
		t.Error("Equal does not tell secrets apart")
	}
	s.Wipe()
	if got := copied.Reveal(); !bytes.Equal(got, make([]byte, len(canary))) {
		t.Errorf("after Wipe a copy still holds %q", got)
	}
	if !(Secret{}).IsZero() || New([]byte("x")).IsZero() {
		t.Error("IsZero is wrong")
	}
}
