package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/daemon"
	"twinbore/config"
)

func newRun(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the gateway in the foreground",
		Long: `Run the gateway in the foreground until SIGTERM or SIGINT, which delete the SAs at the peers and take the
routes away, within 2 seconds. SIGHUP reads the configuration again and applies what has changed, as "twinbore reload" does.
The log goes to standard error: text on a terminal, JSON elsewhere.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			origin, cfg, err := a.openOrigin(func(cfg *config.Config) {
				if cmd.Flags().Changed("socket") {
					cfg.Gateway.API.Socket = a.socket
				}
				if cfg.Gateway.Log.Format == config.LogAuto && isTerminal(a.err) {
					cfg.Gateway.Log.Format = config.LogText
				}
			})
			if err != nil {
				return err
			}
			defer origin.Store.Close()
			level := new(slog.LevelVar)
			setLevel := func(l config.LogLevel) { level.Set(levelOf(l, a.verbose)) }
			setLevel(cfg.Gateway.Log.Level)
			sink := newLogSink(a.err, sayLost(newLogger(a.err, cfg.Gateway.Log, level)))
			defer sink.end()
			log := newLogger(sink, cfg.Gateway.Log, level)
			for _, w := range cfg.Warnings {
				log.Warn("configuration", "at", w.Pos.String(), "hint", w.Text)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(heapGrowth)
			}
			d, err := daemon.Build(ctx, cfg, daemon.Options{Version: version, Log: log, SetLogLevel: setLevel, Origin: origin, Kept: origin.Store})
			switch {
			case errors.Is(err, fs.ErrPermission):
				return failure(exitPermission, err)
			case err != nil:
				return err
			}
			defer onHangup(ctx, hangups, func() { d.Reload(ctx) })() // which says what came of it
			return d.Run(ctx)
		},
	}
}

// heapGrowth is by how many percent the heap may grow between two collections, unless GOGC says otherwise. Most of it is
// packet buffers, which live as long as the process and hold no pointers: a collection is cheap, and with Go's usual 100 a flood
// of first messages would double them in garbage before there is one (DOS-01).
const heapGrowth = 25

// onHangup calls do for each of hangups until the returned function is called.
func onHangup(ctx context.Context, hangups <-chan os.Signal, do func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				do()
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// levelOf is the level that the configuration says, or with -v everything.
func levelOf(l config.LogLevel, verbose bool) (level slog.Level) {
	if level.UnmarshalText([]byte(l)) != nil || verbose {
		return slog.LevelDebug
	}
	return level
}

// newLogger writes to w in the form that the configuration says, JSON unless that says text, what is of this level or above.
func newLogger(w io.Writer, cfg config.Log, level slog.Leveler) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration { // JSON would have nanoseconds
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}}
	if cfg.Format == config.LogJSON || cfg.Format == config.LogAuto {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
