package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"twinbore/cmd/internal/api"
)

// What a terminal understands (ECMA-48).
const (
	clearScreen = "\x1b[H\x1b[2J"
	goHome      = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
)

// watch shows what look returns again and again until a signal or ctx ends it: in place on a terminal, one after the other
// elsewhere. A daemon that is gone is waited for, once there was one.
func (a *app) watch(ctx context.Context, every time.Duration, look func(context.Context) (string, error)) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	screen := &screen{out: a.out, plain: !isTerminal(a.out)}
	defer screen.leave()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		text, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			text = fmt.Sprintf("%v; trying again every %v\n", err, every)
		}
		if err := screen.show(text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// A screen shows one text after the other.
type screen struct {
	out   io.Writer
	plain bool // no terminal
	begun bool
}

func (s *screen) show(text string) error {
	switch {
	case s.plain && s.begun:
		text = "\n" + text
	case s.plain:
	default: // line by line over what was there, so that nothing flickers
		text = strings.ReplaceAll(text, "\n", clearLine+"\r\n") + clearBelow
		if s.begun {
			text = goHome + text
		} else {
			text = hideCursor + clearScreen + text
		}
	}
	s.begun = true
	_, err := io.WriteString(s.out, text)
	return err
}

// leave gives the terminal back as it was.
func (s *screen) leave() {
	if s.begun && !s.plain {
		io.WriteString(s.out, showCursor) // who watches is gone if this fails
	}
}

// watchStatus is status --watch.
func (a *app) watchStatus(ctx context.Context, format, name string, every time.Duration) error {
	return a.watch(ctx, every, func(ctx context.Context) (string, error) {
		var st api.Status
		err := a.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
			st, _, err = c.Status(ctx)
			return err
		})
		if err == nil && name != "" {
			st, _, err = only(st, name)
		}
		if err != nil {
			return "", err
		}
		return a.statusText(format, st, name != "", time.Now()), nil
	})
}
