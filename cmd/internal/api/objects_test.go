package api

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestObjectsReachTheDaemon(t *testing.T) {
	var got ObjectChange
	c := NewClient(serve(t, Config{
		ChangeObject: func(_ context.Context, c ObjectChange) (ObjectChanged, error) {
			got = c
			return ObjectChanged{Changed: true, Object: Object{Name: c.Name, Document: json.RawMessage(`{"name":"x"}`)}}, nil
		},
		Objects: func(_ context.Context, kind ObjectKind) (Objects, error) {
			return Objects{SchemaVersion: SchemaVersion, Objects: []Object{{Name: string(kind)}}}, nil
		},
		Object: func(_ context.Context, kind ObjectKind, name string) (Object, error) {
			if name == "gone" {
				return Object{}, Refuse(NotFound, "no "+string(kind)+" gone")
			}
			return Object{Name: name}, nil
		},
	}))
	for _, want := range []ObjectChange{
		{Verb: Create, Kind: Connections, Name: "hq", Document: []byte("{name: hq}")},
		{Verb: Put, Kind: Connections, Name: "hq", Document: []byte("{name: hq}")},
		{Verb: Patch, Kind: CustomerGateways, Name: "a b/c?", Document: []byte("{}")},
		{Verb: Delete, Kind: CustomerGateways, Name: "lyon", Document: []byte{}},
	} {
		done, _, err := c.ChangeObject(t.Context(), want)
		if err != nil || got.Verb != want.Verb || got.Kind != want.Kind || got.Name != want.Name || string(got.Document) != string(want.Document) || done.Object.Name != want.Name {
			t.Errorf("%+v arrived as %+v with %q: %+v, %v", want, got, got.Document, done, err)
		}
	}
	for _, kind := range []ObjectKind{Connections, CustomerGateways} {
		all, raw, err := c.Objects(t.Context(), kind)
		if err != nil || all.Objects[0].Name != string(kind) || !strings.Contains(string(raw), `"schemaVersion":1`) {
			t.Errorf("%v: %s, %v", all, raw, err)
		}
		if one, _, err := c.Object(t.Context(), kind, "hq"); err != nil || one.Name != "hq" {
			t.Errorf("%v, %v", one, err)
		}
		_, _, err = c.Object(t.Context(), kind, "gone")
		if p, ok := errors.AsType[*Problem](err); !ok || p.Reason != NotFound || p.Status != 404 {
			t.Errorf("%v", err)
		}
	}
}

func TestDocumentThatIsTooLong(t *testing.T) { // CTL-03
	c := NewClient(serve(t, Config{ChangeObject: func(context.Context, ObjectChange) (ObjectChanged, error) {
		t.Error("it reached the daemon")
		return ObjectChanged{}, nil
	}}))
	_, _, err := c.ChangeObject(t.Context(), ObjectChange{Verb: Create, Kind: Connections, Name: "hq", Document: make([]byte, maxBody+1)})
	if p, ok := errors.AsType[*Problem](err); !ok || p.Reason != BadRequest || !strings.Contains(p.Detail, "longer than 1048576 octets") {
		t.Errorf("%v", err)
	}
}
