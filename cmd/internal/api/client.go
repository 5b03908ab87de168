package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
)

// ErrNotReachable says that no daemon listens on the socket: start it, or name another socket.
var ErrNotReachable = errors.New("the daemon is not reachable")

// ErrPermission says that this user may not talk to the daemon.
var ErrPermission = errors.New("permission denied")

// A Client talks to the daemon behind a control socket. It is safe for concurrent use.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a Client of the daemon that listens on socket. Nothing is dialled yet.
func NewClient(socket string) *Client {
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
}

// Status asks how things stand. The second result is the answer as it came, for programs.
func (c *Client) Status(ctx context.Context) (Status, []byte, error) {
	raw, err := c.do(ctx, http.MethodGet, "/v1/status")
	if err != nil {
		return Status{}, nil, err
	}
	var st Status
	if err := json.Unmarshal(raw, &st); err != nil {
		return Status{}, nil, fmt.Errorf("daemon at %s: its answer is not a status: %w", c.socket, err)
	}
	return st, raw, nil
}

// Act asks for an action. A *Problem is what the daemon refused it with.
func (c *Client) Act(ctx context.Context, a Action) (Done, error) {
	if err := a.check(); err != nil {
		return Done{}, err
	}
	raw, err := c.do(ctx, http.MethodPost, a.path())
	if err != nil {
		return Done{}, err
	}
	var done Done
	if err := json.Unmarshal(raw, &done); err != nil {
		return Done{}, fmt.Errorf("daemon at %s: its answer is not a result: %w", c.socket, err)
	}
	return done, nil
}

// maxAnswer is far more than the status of 10,000 connections.
const maxAnswer = 256 << 20 // octets

// do asks, with a body in JSON or none, and reads the answer whole.
func (c *Client) do(ctx context.Context, method, path string, body ...byte) ([]byte, error) {
	resp, err := c.open(ctx, method, path, body...)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w at %s (%v)", ErrNotReachable, c.socket, err)
	}
	return answer, nil
}

// open asks, and returns an answer that is no refusal; the caller closes its body.
func (c *Client) open(ctx context.Context, method, path string, body ...byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://twinbore"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w: be root or a member of the socket's group", c.socket, ErrPermission)
	case err != nil:
		return nil, fmt.Errorf("%w at %s (%v)", ErrNotReachable, c.socket, rootCause(err))
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	refusal, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("%w at %s (%v)", ErrNotReachable, c.socket, err)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		return nil, fmt.Errorf("daemon at %s: %s %s: %s", c.socket, method, path, resp.Status)
	}
	p := new(Problem)
	if err := json.Unmarshal(refusal, p); err != nil {
		return nil, fmt.Errorf("daemon at %s: %s %s: %s", c.socket, method, path, resp.Status)
	}
	if p.Reason == PermissionDenied {
		return nil, fmt.Errorf("%s: %w: %s", c.socket, ErrPermission, p.Detail)
	}
	return nil, p
}

// rootCause leaves out the address that net/http made up.
func rootCause(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
