package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv("API_TEST_CALLER"); socket != "" {
		_, _, err := NewClient(socket).Status(context.Background())
		fmt.Println("as another user:", err)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// serve runs a Server on a socket of its own until the test ends, and returns where it is.
func serve(t *testing.T, cfg Config) string {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Status == nil {
		cfg.Status = func(context.Context) (Status, error) { return full(), nil }
	}
	socket := filepath.Join(shortDir(t), "run", "twinbore.sock")
	l, err := Listen(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- New(cfg).Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return socket
}

// shortDir is a temporary directory with a name short enough for a socket.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "tbapi")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestClientReadsTheStatus(t *testing.T) {
	c := NewClient(serve(t, Config{}))
	st, raw, err := c.Status(t.Context())
	if err != nil || st.Connections[0].Tunnels[0].IKE.Suite != "aes256gcm16-prfsha384-ecp384" {
		t.Fatalf("got %+v, %v", st, err)
	}
	if !strings.Contains(string(raw), `"schemaVersion":1`) {
		t.Errorf("the raw answer is %s", raw)
	}
}

func TestActionsReachTheDaemon(t *testing.T) {
	var got Action
	c := NewClient(serve(t, Config{Act: func(_ context.Context, a Action) (Done, error) {
		got = a
		return Done{Connection: a.Connection, Tunnels: []string{"1"}}, nil
	}}))
	for _, want := range []Action{
		{Verb: Up, Connection: "hq"},
		{Verb: Down, Connection: "hq", Tunnel: "2"},
		{Verb: Restart, Connection: "a b/c", Tunnel: "x?y"},
		{Verb: Rekey, Connection: "hq", SA: "ike"},
		{Verb: Rekey, Connection: "hq", Tunnel: "1", SA: "child"},
	} {
		done, err := c.Act(t.Context(), want)
		if err != nil || got != want || done.Connection != want.Connection {
			t.Errorf("asked for %+v: the daemon saw %+v, answered %+v, %v", want, got, done, err)
		}
	}
}

func TestRefusalsCarryTheirReason(t *testing.T) {
	socket := serve(t, Config{Act: func(_ context.Context, a Action) (Done, error) {
		if a.Connection == "stopping" {
			return Done{}, context.Canceled
		}
		return Done{}, Refuse(NotFound, `no connection "`+a.Connection+`"`)
	}})
	for path, want := range map[string]string{
		"/v1/connections/x/actions/up":              NotFound,
		"/v1/connections/stopping/actions/up":       ShuttingDown,
		"/v1/connections/x/actions/explode":         BadRequest,
		"/v1/connections/x/actions/up?sa=ike":       BadRequest,
		"/v1/connections/x/actions/rekey?sa=golden": BadRequest,
		"/v2/status": NotFound,
	} {
		_, err := NewClient(socket).do(t.Context(), http.MethodPost, path)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Reason != want || p.Detail == "" || p.Status < 400 {
			t.Errorf("POST %s: got %#v, want reason %s", path, err, want)
		}
	}
	_, err := NewClient(socket).Act(t.Context(), Action{Verb: "explode", Connection: "hq"})
	if err == nil {
		t.Error("the client sent a verb that does not exist")
	}
}

func TestNobodyListens(t *testing.T) {
	_, _, err := NewClient(filepath.Join(t.TempDir(), "none")).Status(t.Context())
	if !errors.Is(err, ErrNotReachable) {
		t.Errorf("got %v", err)
	}
}

// CTL-03: garbage, a header without end and a body without end are answered with a refusal or a closed connection,
// and the next client is served.
func TestGarbageIsCutOff(t *testing.T) {
	socket := serve(t, Config{Act: func(_ context.Context, a Action) (Done, error) { return Done{}, nil }})
	for name, text := range map[string]string{
		"garbage":     "\x00\xff\x00\xff\xff\xff\xff\xff\r\n\r\n",
		"long header": "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"long body":   "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 4294967295\r\n\r\n" + strings.Repeat("b", 2<<20),
		"bad length":  "POST /v1/connections/a/actions/up HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
	} {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(c, text)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && resp.StatusCode < 400 {
			t.Errorf("%s: answered %s", name, resp.Status)
		}
		c.Close()
	}
	half, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	io.WriteString(half, "GET /v1/sta")
	if _, _, err := NewClient(socket).Status(t.Context()); err != nil {
		t.Errorf("after garbage: %v", err)
	}
}

func TestClientsAreLimited(t *testing.T) {
	inner, outer := net.Pipe()
	defer inner.Close()
	l := newLimited(&onePipe{c: outer}, 1)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() {
		_, err := l.Accept()
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("let in two: %v", err)
	default:
	}
	l.Close()
	if err := <-second; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	c.Close()
	c.Close() // leaves once
}

type onePipe struct {
	net.Listener
	c net.Conn
}

func (p *onePipe) Accept() (net.Conn, error) { return p.c, nil }
func (p *onePipe) Close() error              { return nil }
