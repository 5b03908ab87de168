package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Routes is the answer to GET /v1/routes: every domain's table.
type Routes struct {
	SchemaVersion int          `json:"schemaVersion"`
	Routes        []RouteEntry `json:"routes"` // by domain, prefix and preference
}

// RouteEntry is one route: a prefix that a connection has behind its peer.
type RouteEntry struct {
	Prefix     string  `json:"prefix"`
	Connection string  `json:"connection"`
	Domain     string  `json:"domain"`
	Tunnel     *string `json:"tunnel"` // that carries it now
	Source     string  `json:"source"` // static | added | bgp
	State      string  `json:"state"`  // active | standby | down | local
	Installed  bool    `json:"installed"`
	Hint       string  `json:"hint"` // why it is not in the host's table though it is active, or what is odd about it
}

// A RouteChange adds prefixes to a connection, or takes away what was added.
type RouteChange struct {
	Connection string
	Prefixes   []string // as a person writes them; a bare address is one host
	Remove     bool
}

// RoutesChanged is what a RouteChange came to.
type RoutesChanged struct {
	Connection string   `json:"connection"`
	Prefixes   []string `json:"prefixes"`
	Kept       bool     `json:"kept"` // the next start of the daemon knows of it
}

// path is where the change is sent.
func (c RouteChange) path() string {
	return "/v1/connections/" + url.PathEscape(c.Connection) + "/routes?" + url.Values{"prefix": c.Prefixes}.Encode()
}

func (c RouteChange) method() string {
	if c.Remove {
		return http.MethodDelete
	}
	return http.MethodPost
}

func (s *Server) routes(w http.ResponseWriter, r *http.Request) {
	got, err := s.cfg.Routes(r.Context(), r.URL.Query().Get("connection"))
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, got)
}

func (s *Server) changeRoutes(w http.ResponseWriter, r *http.Request) {
	c := RouteChange{Connection: r.PathValue("connection"), Prefixes: r.URL.Query()["prefix"], Remove: r.Method == http.MethodDelete}
	who, _ := caller(r.Context())
	if len(c.Prefixes) == 0 {
		Refuse(BadRequest, "no prefix: the query needs prefix=10.0.0.0/16, once for each").write(w)
		return
	}
	action := "route add"
	if c.Remove {
		action = "route del"
	}
	done, err := s.cfg.ChangeRoutes(r.Context(), c)
	s.cfg.Log.Info("operator action", "action", action, "connection", c.Connection, "prefixes", c.Prefixes, "uid", who.uid, "result", result(err))
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, done)
}

// Routes asks for the routes of a connection, or of all for an empty name. The second result is the answer as it came.
func (c *Client) Routes(ctx context.Context, connection string) (Routes, []byte, error) {
	path := "/v1/routes"
	if connection != "" {
		path += "?" + url.Values{"connection": {connection}}.Encode()
	}
	raw, err := c.do(ctx, http.MethodGet, path)
	if err != nil {
		return Routes{}, nil, err
	}
	var out Routes
	if err := json.Unmarshal(raw, &out); err != nil {
		return Routes{}, nil, fmt.Errorf("daemon at %s: its answer is no list of routes: %w", c.socket, err)
	}
	return out, raw, nil
}

// ChangeRoutes asks for a change. A *Problem is what the daemon refused it with.
func (c *Client) ChangeRoutes(ctx context.Context, change RouteChange) (RoutesChanged, error) {
	raw, err := c.do(ctx, change.method(), change.path())
	if err != nil {
		return RoutesChanged{}, err
	}
	var out RoutesChanged
	if err := json.Unmarshal(raw, &out); err != nil {
		return RoutesChanged{}, fmt.Errorf("daemon at %s: its answer is not a result: %w", c.socket, err)
	}
	return out, nil
}
