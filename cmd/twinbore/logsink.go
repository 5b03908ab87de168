package main

import (
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	logLines = 1024                   // that wait for a reader who is slow
	logEnd   = 500 * time.Millisecond // for the last of them, when the program ends
)

// A logSink stands between the log and a writer that may block, as a pipe does that nobody reads: whoever logs goes on at once. What
// does not fit into its queue is lost, and counted; how much is said as soon as there is a reader again (EV-25).
type logSink struct {
	to    io.Writer
	lines chan []byte
	lost  atomic.Uint64
	quit  chan struct{} // closed by end
	ended chan struct{}
}

// newLogSink begins to write to w. say tells, by w itself, how many lines were lost since it was last called.
func newLogSink(w io.Writer, say func(lost uint64)) *logSink {
	s := &logSink{to: w, lines: make(chan []byte, logLines), quit: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		for {
			select {
			case line := <-s.lines:
				s.put(line, say)
				continue
			default:
			}
			select { // nothing waits
			case line := <-s.lines:
				s.put(line, say)
			case <-s.quit:
				return
			}
		}
	}()
	return s
}

func (s *logSink) put(line []byte, say func(uint64)) {
	s.to.Write(line) // there is nobody to tell of an error
	if n := s.lost.Swap(0); n > 0 {
		say(n)
	}
}

// Write takes a line, which the caller may change afterwards. It never blocks and has no errors. Safe for concurrent use.
func (s *logSink) Write(line []byte) (int, error) {
	select {
	case s.lines <- append([]byte(nil), line...):
	default:
		s.lost.Add(1)
	}
	return len(line), nil
}

// end waits for what is still to be written, but no longer than logEnd. What comes later is not written.
func (s *logSink) end() {
	close(s.quit)
	select {
	case <-s.ended:
	case <-time.After(logEnd):
	}
}

// sayLost logs the loss of lines.
func sayLost(log *slog.Logger) func(uint64) {
	return func(n uint64) {
		log.Warn("log lines were lost, for nobody read them", "lines", n)
	}
}
