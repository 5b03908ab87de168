package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"
)

// FuzzControlSocket (CTL-03): whatever a client sends, whole or half, the server does not fall over, tells the daemon of nothing
// that it does not know how to do, and is rid of the client once that has gone.
func FuzzControlSocket(f *testing.F) {
	for _, text := range []string{
		"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/logs?level=warn HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/events?since=1&follow=1 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
		"POST /v1/connections/a/actions/up HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 4294967295\r\n\r\nx",
		"POST /v1/connections/a/tunnels/1/actions/rekey?sa=ike HTTP/1.0\r\n\r\n",
		"POST /v1/connections/a/tunnels/1/actions/rotate-psk HTTP/1.1\r\nHost: x\r\nContent-Length: 21\r\n\r\n{\"secret\": \"aGVsbG8=\"}",
		"POST /v1/connections/a/tunnels/1/actions/rotate-psk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"POST /v1/connections/..%2f..%2fetc/actions/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x16\x03\x01", "GET /v1/sta", "\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	l := &pipes{made: make(chan net.Conn), closed: make(chan struct{})}
	fallen := make(chan string, 1)
	s := New(Config{
		Status: func(context.Context) (Status, error) { return full(), nil },
		Logs:   func(LogQuery) (Logs, error) { return Logs{}, nil },
		Events: func(uint64) ([]Event, <-chan struct{}) { return nil, make(chan struct{}) },
		Act: func(_ context.Context, a Action) (Done, error) {
			if a.check() != nil || a.Connection == "" {
				panic("an action that nobody can do")
			}
			return Done{}, nil
		},
		Rotate: func(_ context.Context, r Rotation) (Rotated, error) {
			if r.check() != nil || r.Connection == "" || r.Tunnel == "" {
				panic("a rotation that nobody can do")
			}
			return Rotated{}, nil
		},
		Log: slog.New(slog.NewTextHandler(alarm{fallen}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	s.http.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, callerKey{}, credential{allowed: true})
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, l) }()
	f.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			f.Errorf("the server ended with %v", err)
		}
	})
	f.Fuzz(func(t *testing.T, sent []byte) {
		here, there := net.Pipe()
		gone := make(chan struct{})
		l.made <- &watched{Conn: there, gone: sync.OnceFunc(func() { close(gone) })}
		go io.Copy(io.Discard, here)
		here.SetWriteDeadline(time.Now().Add(time.Second)) // what is refused is not read to its end
		here.Write(sent)
		here.Close()
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			t.Fatal("the client has gone, and the server keeps its connection")
		}
		select {
		case text := <-fallen:
			t.Fatal(text)
		default:
		}
	})
}

// An alarm is a log that tells of handlers that have panicked, which net/http recovers from.
type alarm struct{ fallen chan string }

func (a alarm) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("panic")) {
		select {
		case a.fallen <- string(b):
		default:
		}
	}
	return len(b), nil
}

type watched struct {
	net.Conn
	gone func()
}

func (c *watched) Close() error { defer c.gone(); return c.Conn.Close() }
