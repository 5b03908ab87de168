package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A ledger keeps the last events of a test.
type ledger struct {
	mu    sync.Mutex
	kept  int
	all   []Event
	newer chan struct{}
}

func newLedger(kept, events int) *ledger {
	l := &ledger{kept: kept, newer: make(chan struct{})}
	l.put(events)
	return l
}

func (l *ledger) put(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		id := uint64(1)
		if len(l.all) > 0 {
			id = l.all[len(l.all)-1].ID + 1
		}
		l.all = append(l.all, Event{ID: id, Time: time.Unix(int64(id), 0).UTC(), Kind: "tunnel.up", Connection: Ptr("hq"), Attributes: map[string]string{}})
	}
	l.all = l.all[max(0, len(l.all)-l.kept):]
	close(l.newer)
	l.newer = make(chan struct{})
}

func (l *ledger) read(after uint64) ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.all {
		if e.ID > after {
			return l.all[i:len(l.all):len(l.all)], l.newer
		}
	}
	return nil, l.newer
}

func TestEventsAreRead(t *testing.T) {
	book := newLedger(100, 10)
	socket := serve(t, Config{Events: book.read})
	for _, test := range []struct {
		q    EventQuery
		want string
	}{
		{EventQuery{}, "1 2 3 4 5 6 7 8 9 10"},
		{EventQuery{After: 7}, "8 9 10"},
		{EventQuery{After: 10}, ""},
		{EventQuery{After: 1 << 60}, ""},
		{EventQuery{Since: time.Unix(9, 0)}, "9 10"},
	} {
		var got []string
		err := NewClient(socket).Events(t.Context(), test.q, func(e Event) error {
			got = append(got, fmt.Sprint(e.ID))
			return nil
		})
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%+v: got %v, %v; want %s", test.q, got, err, test.want)
		}
	}
	enough := errors.New("enough")
	if err := NewClient(socket).Events(t.Context(), EventQuery{}, func(Event) error { return enough }); err != enough {
		t.Errorf("the reader's own error became %v", err)
	}
	for _, query := range []string{"since=yesterday", "since=-1", "follow=yes"} {
		if _, err := url.ParseQuery(query); err != nil {
			t.Fatal(err)
		}
		_, err := NewClient(socket).do(t.Context(), http.MethodGet, "/v1/events?"+query)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Reason != BadRequest {
			t.Errorf("%s: got %v", query, err)
		}
	}
}

// A pipes is a listener whose connections are made in memory, so that time can be that of the test.
type pipes struct {
	made   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// inMemory serves cfg in the bubble until the test ends, and returns how to ask.
func inMemory(t *testing.T, cfg Config) (ask func(path string, header ...string) *http.Response) {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	s := New(cfg)
	s.http.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, callerKey{}, credential{allowed: true})
	}
	p := &pipes{made: make(chan net.Conn), closed: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx, p) }()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		p.made <- there
		return here, nil
	}}}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return func(path string, header ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://twinbore"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
}

// A follower gets what there is and then each event as it comes, hours later too; the end of the daemon ends it.
func TestEventsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := newLedger(100, 2)
		ask := inMemory(t, Config{Events: book.read})
		lines := bufio.NewScanner(ask("/v1/events?follow=1&since=1").Body)
		next := func() string {
			for lines.Scan() {
				if lines.Text() != "" {
					return lines.Text()
				}
			}
			return "the end"
		}
		for id := 2; id < 5; id++ {
			if got := next(); !strings.HasPrefix(got, fmt.Sprintf(`{"id":%d,`, id)) {
				t.Errorf("got %s, want event %d", got, id)
			}
			go func() {
				time.Sleep(time.Hour)
				book.put(1)
			}()
		}
		next()
	})
}

func TestEventsForAnEventSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := newLedger(100, 2)
		ask := inMemory(t, Config{Events: book.read})
		resp := ask("/v1/events?follow=1", "Accept", "text/event-stream", "Last-Event-ID", "1")
		if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("answered as %s", got)
		}
		var got strings.Builder
		lines := bufio.NewScanner(resp.Body)
		for range 6 { // an event, and a sign of life
			lines.Scan()
			got.WriteString(lines.Text() + "\n")
		}
		want := `id: 2
event: tunnel.up
data: {"id":2,"time":"1970-01-01T00:00:02Z","kind":"tunnel.up","severity":"","gateway":"","connection":"hq","tunnel":null,"reason":null,"message":"","attributes":{}}

:

`
		if got.String() != want {
			t.Errorf("got\n%swant\n%s", got.String(), want)
		}
	})
}

// CTL-04: who does not read is cut off, whether it blocks a write or lets events pass that are kept no more, and holds
// nobody else up meanwhile.
func TestSlowReadersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := newLedger(10, 10)
		ask := inMemory(t, Config{Events: book.read})
		blocked := ask("/v1/events?follow=1")
		quick := bufio.NewScanner(ask("/v1/events?follow=1").Body)
		begun := time.Now()
		for range 10 {
			book.put(5)
			for range 5 {
				quick.Scan()
			}
			time.Sleep(5 * time.Second)
		}
		if took := time.Since(begun); took > 51*time.Second {
			t.Errorf("the quick reader was held up: it took %s", took)
		}
		var ids []string
		lines := bufio.NewScanner(blocked.Body)
		for lines.Scan() {
			if id, _, ok := strings.Cut(strings.TrimPrefix(lines.Text(), `{"id":`), ","); ok {
				ids = append(ids, id)
			}
		}
		if len(ids) >= 60 {
			t.Errorf("the reader that was blocked for 50 s was given %d events", len(ids))
		}
	})
}

func TestFollowersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := newLedger(10, 1)
		ask := inMemory(t, Config{Events: book.read})
		var first *http.Response
		for range maxFollowers {
			first = ask("/v1/events?follow=1")
		}
		if got := ask("/v1/events?follow=1").StatusCode; got != http.StatusServiceUnavailable {
			t.Errorf("one too many was answered with %d", got)
		}
		if got := ask("/v1/events").StatusCode; got != http.StatusOK {
			t.Errorf("who does not follow was answered with %d", got)
		}
		first.Body.Close()
		synctest.Wait()
		if got := ask("/v1/events?follow=1").StatusCode; got != http.StatusOK {
			t.Errorf("after one has left the next was answered with %d", got)
		}
	})
}
