package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"twinbore/config"
)

// EV-25: nobody reads the log. Whoever writes to it goes on; when there is a reader it gets the lines that fitted, and is told how
// many did not.
func TestALogThatNobodyReadsHoldsNobodyUp(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cfg := config.Log{Level: "info", Format: config.LogText}
	sink := newLogSink(w, sayLost(newLogger(w, cfg, levelOf(cfg.Level, false))))
	log := newLogger(sink, cfg, levelOf(cfg.Level, false))
	const lines, size = 5000, 200 // more than the pipe's 64 kB and the queue
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range lines {
			log.Info(strings.Repeat("x", size), "n", i)
		}
	}()
	select {
	case <-written:
	case <-time.After(5 * time.Second):
		t.Fatal("the log holds its writers up")
	}
	begin := time.Now()
	got, lost, next := 0, 0, 0
	all := bufio.NewScanner(r)
	for all.Scan() && got+lost < lines {
		var n int
		if _, after, ok := strings.Cut(all.Text(), "nobody read them\" lines="); ok {
			fmt.Sscan(after, &n)
			lost += n
			continue
		}
		_, after, _ := strings.Cut(all.Text(), " n=")
		if fmt.Sscan(after, &n); n < next {
			t.Fatalf("line %d after %d", n, next-1)
		}
		got, next = got+1, n+1
		if got+lost == lines {
			break
		}
	}
	if lost == 0 || got < logLines || got+lost != lines {
		t.Errorf("%d lines read and %d told as lost, of %d", got, lost, lines)
	}
	sink.end()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("reading and ending took %v", took)
	}
	w.Close()
}

// The end does not wait for a reader who does not come.
func TestTheEndOfALogThatNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	sink := newLogSink(w, func(uint64) {})
	line := []byte(strings.Repeat("x", 1<<10))
	for range 2 * logLines {
		sink.Write(line)
	}
	begin := time.Now()
	sink.end()
	if took := time.Since(begin); took > 4*logEnd {
		t.Errorf("it took %v", took)
	}
	r.Close() // lets the writer go, by EPIPE
	<-sink.ended
	w.Close()
}
