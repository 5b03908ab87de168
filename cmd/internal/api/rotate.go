package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// MaxGrace is how long a pre-shared key before the current one can be accepted at most.
const MaxGrace = 30 * 24 * time.Hour

// A Rotation asks for another pre-shared key of one tunnel. A key only ever goes this way: no answer holds one.
type Rotation struct {
	Connection   string `json:"-"`
	Tunnel       string `json:"-"`
	Secret       []byte `json:"secret"`        // the octets; empty: the daemon makes one
	GraceSeconds int64  `json:"grace_seconds"` // how long the one before it is accepted; 0: not any more
}

// Rotated says what came of a Rotation.
type Rotated struct {
	Connection    string     `json:"connection"`
	Tunnel        string     `json:"tunnel"`
	Place         string     `json:"place"` // the file that has the new key
	Generated     bool       `json:"generated"`
	PreviousUntil *time.Time `json:"previous_until"` // null: the one before it is not accepted any more
	OutageSeconds *int64     `json:"outage_seconds"` // what is to be expected (R59); null: until the peer has the new key as well, once the tunnel must be set up anew
	Weakness      *string    `json:"weakness"`       // of the new key; null: none is known
}

func (r Rotation) path() string {
	return "/v1/connections/" + url.PathEscape(r.Connection) + "/tunnels/" + url.PathEscape(r.Tunnel) + "/actions/rotate-psk"
}

// check refuses what no daemon can do.
func (r Rotation) check() error {
	if grace := time.Duration(r.GraceSeconds) * time.Second; r.GraceSeconds < 0 || r.GraceSeconds > int64(MaxGrace/time.Second) {
		return fmt.Errorf("a grace of %v: it is from 0 to %v", grace, MaxGrace)
	}
	return nil
}

// Rotate asks for another pre-shared key. A *Problem is what the daemon refused it with.
func (c *Client) Rotate(ctx context.Context, r Rotation) (Rotated, error) {
	if err := r.check(); err != nil {
		return Rotated{}, err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return Rotated{}, err
	}
	defer clear(body)
	raw, err := c.do(ctx, http.MethodPost, r.path(), body...)
	if err != nil {
		return Rotated{}, err
	}
	var done Rotated
	if err := json.Unmarshal(raw, &done); err != nil {
		return Rotated{}, fmt.Errorf("daemon at %s: its answer is not a result: %w", c.socket, err)
	}
	return done, nil
}

func (s *Server) rotate(w http.ResponseWriter, r *http.Request) {
	var asked Rotation
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if decoder.Decode(&asked) != nil { // what is wrong may quote the key
		Refuse(BadRequest, `the body is not {"secret": base64, "grace_seconds": number}`).write(w)
		return
	}
	defer clear(asked.Secret)
	asked.Connection, asked.Tunnel = r.PathValue("connection"), r.PathValue("tunnel")
	if err := asked.check(); err != nil {
		Refuse(BadRequest, err.Error()).write(w)
		return
	}
	done, err := s.cfg.Rotate(r.Context(), asked)
	who, _ := caller(r.Context())
	s.cfg.Log.Info("operator action", "action", "rotate-psk", "connection", asked.Connection, "tunnel", asked.Tunnel, "uid", who.uid,
		"result", result(err))
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, done)
}
