package api

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestRoutesAreAskedForAndChanged(t *testing.T) { // R35
	var asked string
	var got RouteChange
	c := NewClient(serve(t, Config{
		Routes: func(_ context.Context, connection string) (Routes, error) {
			asked = connection
			return Routes{SchemaVersion: SchemaVersion, Routes: []RouteEntry{{Prefix: "10.2.0.0/16", Connection: "hq"}}}, nil
		},
		ChangeRoutes: func(_ context.Context, c RouteChange) (RoutesChanged, error) {
			got = c
			if c.Connection == "nowhere" {
				return RoutesChanged{}, Refuse(Conflict, "not beside the other")
			}
			return RoutesChanged{Connection: c.Connection, Prefixes: c.Prefixes, Kept: true}, nil
		},
	}))
	list, raw, err := c.Routes(t.Context(), "a b")
	if err != nil || asked != "a b" || len(list.Routes) != 1 || !strings.Contains(string(raw), `"schemaVersion":1`) {
		t.Errorf("asked for %q, got %+v, %v", asked, list, err)
	}
	if _, _, err := c.Routes(t.Context(), ""); err != nil || asked != "" {
		t.Errorf("asked for %q, %v", asked, err)
	}
	prefixes := []string{"10.9.0.1", "2001:db8::/32", "any&thing=at all"}
	for _, remove := range []bool{false, true} {
		done, err := c.ChangeRoutes(t.Context(), RouteChange{Connection: "hq", Prefixes: prefixes, Remove: remove})
		if err != nil || got.Remove != remove || got.Connection != "hq" || !slices.Equal(got.Prefixes, prefixes) || !done.Kept {
			t.Errorf("remove %v: the daemon got %+v, answered %+v, %v", remove, got, done, err)
		}
	}
	var p *Problem
	if _, err := c.ChangeRoutes(t.Context(), RouteChange{Connection: "nowhere", Prefixes: prefixes}); !errors.As(err, &p) || p.Status != 409 || p.Reason != Conflict {
		t.Errorf("refused with %v", err)
	}
	got = RouteChange{}
	if _, err := c.ChangeRoutes(t.Context(), RouteChange{Connection: "hq"}); !errors.As(err, &p) || p.Reason != BadRequest || got.Connection != "" {
		t.Errorf("without prefixes: %v, and the daemon got %+v", err, got)
	}
}
