package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
)

// stopAfter ends something once so many lines were written.
type stopAfter struct {
	bytes.Buffer
	lines int
	stop  func()
}

func (w *stopAfter) Write(b []byte) (int, error) {
	if w.lines--; w.lines == 0 {
		w.stop()
	}
	return w.Buffer.Write(b)
}

func numbered(first, last uint64) (list []api.Event) {
	for id := first; id <= last; id++ {
		list = append(list, api.Event{ID: id, Kind: "tunnel.up", Attributes: map[string]string{}})
	}
	return list
}

// events -f goes on where it was when the daemon cuts it off, and ends with its context; every line is one event.
func TestEventsFollow(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := api.Listen(socket, "")
	if err != nil {
		t.Skip("the temporary folder's name is too long for a socket: ", err)
	}
	soon := make(chan struct{})
	close(soon)
	server := api.New(api.Config{Log: slog.New(slog.DiscardHandler), Events: func(after uint64) ([]api.Event, <-chan struct{}) {
		switch {
		case after < 3:
			return numbered(after+1, 3), soon
		case after < 5: // 4 is not kept any more
			return numbered(5, 5), soon
		}
		return numbered(after+1, 7), make(chan struct{})
	}})
	serving, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(serving, l) }()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	out := &stopAfter{lines: 6, stop: stop}
	var errs bytes.Buffer
	if code := run(ctx, []string{"--socket", socket, "events", "-f"}, nil, out, &errs); code != 0 {
		t.Errorf("exit code %d: %s", code, &errs)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var ids []string
	for line := range strings.Lines(out.String()) {
		var e api.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		ids = append(ids, fmt.Sprint(e.ID))
	}
	if got := strings.Join(ids, " "); got != "1 2 3 5 6 7" {
		t.Errorf("got the events %s", got)
	}
}
