package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// An ObjectKind is what can be made while the daemon runs, as its part of a path.
type ObjectKind string

// The kinds of objects.
const (
	Connections      ObjectKind = "connections"
	CustomerGateways ObjectKind = "customer-gateways"
)

// Objects is the answer to GET /v1/connections and GET /v1/customer-gateways.
type Objects struct {
	SchemaVersion int      `json:"schemaVersion"`
	Objects       []Object `json:"objects"` // in the order of the configuration, then what was deleted in the last hour
}

// Object is a connection or a customer gateway: what it is, where it comes from and how it stands (R1, R5, R9).
type Object struct {
	Name     string            `json:"name"`
	ID       *string           `json:"id"`
	State    string            `json:"state"`  // of connections: pending | available | disabled | deleting; of customer gateways: available; of both: refused | deleted
	Source   string            `json:"source"` // file | runtime
	At       *string           `json:"at"`     // file:line:column; null: made at run time
	Tags     map[string]string `json:"tags"`
	UsedBy   []string          `json:"used_by"` // connections; of customer gateways
	Created  *time.Time        `json:"created"`
	Modified *time.Time        `json:"modified"`
	Problem  *string           `json:"problem"`    // why it is refused: it is kept, and not in effect
	Document json.RawMessage   `json:"document"`   // in the language of the configuration; null: deleted
	Deleted  *time.Time        `json:"deleted_at"` // null: it is not
	Left     *int64            `json:"forgotten_in_seconds"`
	Secrets  []MadeSecret      `json:"secrets"` // generated ones
}

// MadeSecret is where a generated pre-shared key is kept. The key itself is never in an answer.
type MadeSecret struct {
	Tunnel string `json:"tunnel"`
	File   string `json:"file"`
}

// An ObjectVerb is what to do to an object.
type ObjectVerb string

// What can be done. Put makes or replaces, and the same document twice is no change; Patch is RFC 7396.
const (
	Create ObjectVerb = "create"
	Put    ObjectVerb = "put"
	Patch  ObjectVerb = "modify"
	Delete ObjectVerb = "delete"
)

var objectMethods = map[string]ObjectVerb{http.MethodPost: Create, http.MethodPut: Put, http.MethodPatch: Patch, http.MethodDelete: Delete}

// An ObjectChange makes, changes or deletes one object.
type ObjectChange struct {
	Verb     ObjectVerb
	Kind     ObjectKind
	Name     string
	Document []byte // YAML or JSON; of Patch the change, of Delete none
}

// ObjectChanged is what came of it, once it is on the disk and in effect.
type ObjectChanged struct {
	Created bool   `json:"created"`
	Changed bool   `json:"changed"` // false: it was like that already
	Object  Object `json:"object"`
}

func (c ObjectChange) method() string {
	for method, verb := range objectMethods {
		if verb == c.Verb {
			return method
		}
	}
	panic("bug: no method for " + string(c.Verb))
}

func objectPath(kind ObjectKind, name string) string {
	return "/v1/" + string(kind) + "/" + url.PathEscape(name)
}

// handleObjects adds what is asked about the objects of one kind.
func (s *Server) handleObjects(mux *http.ServeMux, kind ObjectKind) {
	mux.HandleFunc("GET /v1/"+string(kind), func(w http.ResponseWriter, r *http.Request) {
		got, err := s.cfg.Objects(r.Context(), kind)
		if err != nil {
			problem(err).write(w)
			return
		}
		answer(w, got)
	})
	mux.HandleFunc("GET /v1/"+string(kind)+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		got, err := s.cfg.Object(r.Context(), kind, r.PathValue("name"))
		if err != nil {
			problem(err).write(w)
			return
		}
		answer(w, got)
	})
	for method := range objectMethods {
		mux.HandleFunc(method+" /v1/"+string(kind)+"/{name}", func(w http.ResponseWriter, r *http.Request) { s.changeObject(w, r, kind) })
	}
}

func (s *Server) changeObject(w http.ResponseWriter, r *http.Request, kind ObjectKind) {
	c := ObjectChange{Verb: objectMethods[r.Method], Kind: kind, Name: r.PathValue("name")}
	var err error
	if c.Document, err = io.ReadAll(r.Body); err != nil { // guard bounds it
		detail := "the document cannot be read"
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			detail = fmt.Sprintf("the document is longer than %d octets", maxBody)
		}
		Refuse(BadRequest, detail).write(w)
		return
	}
	who, _ := caller(r.Context())
	done, err := s.cfg.ChangeObject(r.Context(), c)
	s.cfg.Log.Info("operator action", "action", string(kind)+" "+string(c.Verb), "object", c.Name, "uid", who.uid, "result", result(err))
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, done)
}

// Objects asks for all objects of a kind. The second result is the answer as it came, for programs.
func (c *Client) Objects(ctx context.Context, kind ObjectKind) (Objects, []byte, error) {
	return read[Objects](ctx, c, http.MethodGet, "/v1/"+string(kind), nil)
}

// Object asks for one. It may be deleted already.
func (c *Client) Object(ctx context.Context, kind ObjectKind, name string) (Object, []byte, error) {
	return read[Object](ctx, c, http.MethodGet, objectPath(kind, name), nil)
}

// ChangeObject makes, changes or deletes one object, and returns when it is on the disk and in effect; of Delete, when its end
// has begun. A *Problem is what the daemon refused it with.
func (c *Client) ChangeObject(ctx context.Context, change ObjectChange) (ObjectChanged, []byte, error) {
	return read[ObjectChanged](ctx, c, change.method(), objectPath(change.Kind, change.Name), change.Document)
}

// read asks and takes the answer apart.
func read[T any](ctx context.Context, c *Client, method, path string, body []byte) (got T, raw []byte, err error) {
	if raw, err = c.do(ctx, method, path, body...); err != nil {
		return got, nil, err
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		return got, nil, fmt.Errorf("daemon at %s: %s %s: its answer is not what was asked for: %w", c.socket, method, path, err)
	}
	return got, raw, nil
}
