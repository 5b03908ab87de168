package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd is a listener whose clients are pipes, for a bubble: real sockets hold fake time still.
type crowd struct {
	queue chan net.Conn
	done  chan struct{}
	once  sync.Once
	open  atomic.Int32 // clients let in and not gone
	peak  atomic.Int32
}

func (l *crowd) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		l.peak.Store(max(l.peak.Load(), l.open.Add(1)))
		return &counted{Conn: c, gone: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *crowd) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *crowd) Addr() net.Addr { return &net.UnixAddr{Name: "crowd", Net: "unix"} }

// dial is one client, which waits until it is let in.
func (l *crowd) dial() net.Conn {
	outer, inner := net.Pipe()
	l.queue <- inner
	return outer
}

type counted struct {
	net.Conn
	gone func()
}

func (c *counted) Close() error { defer c.gone(); return c.Conn.Close() }

// crowded runs a Server for a crowd of callers that may talk.
func crowded(t *testing.T, cfg Config) *crowd {
	l := &crowd{queue: make(chan net.Conn), done: make(chan struct{})}
	cfg.Log = slog.New(slog.DiscardHandler)
	s := New(cfg)
	s.http.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, callerKey{}, credential{allowed: true})
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return l
}

// DOS-18, CTL-03: a thousand clients that send an octet a second are let in 64 at a time, and each is cut after ten seconds, in
// the middle of its header or of its body. Who asks behind them is served.
func TestSlowClientsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := crowded(t, Config{Status: func(context.Context) (Status, error) { return full(), nil },
			Act: func(context.Context, Action) (Done, error) { return Done{}, nil }})
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				c := l.dial()
				defer c.Close()
				go io.Copy(io.Discard, c)
				text := "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 1000)
				if i%2 == 1 {
					io.WriteString(c, "POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
					text = strings.Repeat("b", 1000)
				}
				start := time.Now()
				for at := range text {
					if _, err := io.WriteString(c, text[at:at+1]); err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				if took := time.Since(start); took > readTime+2*time.Second {
					t.Errorf("client %d was heard for %v", i, took)
				}
			})
		}
		begun := time.Now()
		wg.Wait()
		if took := time.Since(begun); took > time.Duration(1000/maxClients+2)*(readTime+2*time.Second) {
			t.Errorf("it took %v to be rid of them", took)
		}
		synctest.Wait()
		if peak, open := l.peak.Load(), l.open.Load(); peak > maxClients || open > 0 {
			t.Errorf("%d were let in at once, %d are left; want %d and none", peak, open, maxClients)
		}
		c := l.dial()
		defer c.Close()
		io.WriteString(c, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("after the crowd: %v, %v", resp, err)
		}
		resp.Body.Close()
	})
}

// DOS-18: of a body of 1 GB no more is read than a body may have; the client is answered, or cut.
func TestBodyWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := crowded(t, Config{Act: func(context.Context, Action) (Done, error) { return Done{}, nil }})
		for _, path := range []string{"/v1/connections/hq/actions/up", "/nowhere"} {
			c := l.dial()
			answered := make(chan int, 1)
			go func() {
				if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
					answered <- resp.StatusCode
				}
				io.Copy(io.Discard, c)
			}()
			io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
			sent, begun := 0, time.Now()
			part := make([]byte, 64<<10)
			for sent < 1<<30 {
				n, err := c.Write(part)
				if sent += n; err != nil {
					if !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("%s: %v", path, err)
					}
					break
				}
			}
			if sent > 2*maxBody || time.Since(begun) > readTime+time.Second {
				t.Errorf("%s: %d octets were taken in %v", path, sent, time.Since(begun))
			}
			c.Close()
			synctest.Wait()
			if l.open.Load() != 0 {
				t.Errorf("%s: the connection is still open", path)
			}
		}
	})
}
