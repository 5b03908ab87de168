package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of what one client can cost (CTL-03).
const (
	maxBody    = 1 << 20 // octets
	maxHeader  = 16 << 10
	maxClients = 64
	readTime   = 10 * time.Second
)

// Config is what a Server asks. Its functions are safe for concurrent use and end when ctx does.
type Config struct {
	Status func(ctx context.Context) (Status, error)
	Act    func(ctx context.Context, a Action) (Done, error)       // a *Problem is answered as it is
	Rotate func(ctx context.Context, r Rotation) (Rotated, error)  // a *Problem is answered as it is
	Logs   func(q LogQuery) (Logs, error)                          // a *Problem is answered as it is
	Ping   func(ctx context.Context, q PingQuery) (Pinged, error)  // a *Problem is answered as it is
	MTU    func(ctx context.Context, q MTUQuery) (Measured, error) // a *Problem is answered as it is
	// Events returns what is kept of the events with ids after that one, the oldest first, and a channel that is closed once
	// there is a newer one. It does not wait. The events are not changed afterwards.
	Events func(after uint64) (list []Event, newer <-chan struct{})
	Routes func(ctx context.Context, connection string) (Routes, error) // of all for ""; a *Problem is answered as it is
	// ChangeRoutes changes all the prefixes or none. A *Problem is answered as it is.
	ChangeRoutes func(ctx context.Context, c RouteChange) (RoutesChanged, error)
	Objects      func(ctx context.Context, kind ObjectKind) (Objects, error) // a *Problem is answered as it is, here and below
	Object       func(ctx context.Context, kind ObjectKind, name string) (Object, error)
	// ChangeObject returns when the change is on the disk and in effect.
	ChangeObject func(ctx context.Context, c ObjectChange) (ObjectChanged, error)
	// Config does one of the verbs. A *Problem is answered as it is.
	Config func(ctx context.Context, verb ConfigVerb, q ConfigRequest) (ConfigAnswer, error)
	Log    *slog.Logger
}

// A Server answers requests.
type Server struct {
	cfg  Config
	http http.Server

	followers chan struct{} // a token for each reader that follows the events
	ending    chan struct{} // closed when Run is over
}

// New returns a Server that is not listening yet.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, followers: make(chan struct{}, maxFollowers), ending: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", s.status)
	mux.HandleFunc("GET /v1/logs", s.logs)
	mux.HandleFunc("GET /v1/events", s.events)
	mux.HandleFunc("GET /v1/routes", s.routes)
	s.handleObjects(mux, Connections)
	s.handleObjects(mux, CustomerGateways)
	mux.HandleFunc("POST /v1/connections/{connection}/routes", s.changeRoutes)
	mux.HandleFunc("DELETE /v1/connections/{connection}/routes", s.changeRoutes)
	mux.HandleFunc("POST /v1/connections/{connection}/actions/ping", s.ping)
	mux.HandleFunc("POST /v1/connections/{connection}/tunnels/{tunnel}/actions/ping", s.ping)
	mux.HandleFunc("POST /v1/connections/{connection}/actions/mtu", s.mtu)
	mux.HandleFunc("POST /v1/connections/{connection}/tunnels/{tunnel}/actions/mtu", s.mtu)
	mux.HandleFunc("POST /v1/connections/{connection}/actions/{verb}", s.act)
	mux.HandleFunc("POST /v1/connections/{connection}/tunnels/{tunnel}/actions/{verb}", s.act)
	mux.HandleFunc("POST /v1/connections/{connection}/tunnels/{tunnel}/actions/rotate-psk", s.rotate)
	for _, verb := range configVerbs {
		mux.HandleFunc("POST /v1/config:"+string(verb), s.config(verb))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		Refuse(NotFound, "no "+r.Method+" "+r.URL.Path+" here").write(w)
	})
	s.http = http.Server{
		Handler:           s.guard(mux),
		ReadHeaderTimeout: readTime,
		ReadTimeout:       readTime,
		WriteTimeout:      readTime + 30*time.Second, // answering waits for the daemon's loop
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withCaller,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Run serves l until ctx is done, lets the requests under way finish for a second, and closes l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	serving, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-serving.Done()
		close(s.ending)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			s.http.Close()
		}
	}()
	err := s.http.Serve(newLimited(l, maxClients))
	stop()
	<-stopped
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// guard refuses strangers and bodies without end.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := caller(r.Context())
		if !ok || !who.allowed {
			s.cfg.Log.Warn("api caller refused", "uid", who.uid, "gid", who.gid)
			Refuse(PermissionDenied, "only root and the group of the socket may talk to the daemon").write(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	st, err := s.cfg.Status(r.Context())
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, st)
}

func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	a := Action{Verb: Verb(r.PathValue("verb")), Connection: r.PathValue("connection"), Tunnel: r.PathValue("tunnel"),
		SA: r.URL.Query().Get("sa")}
	who, _ := caller(r.Context())
	if err := a.check(); err != nil {
		Refuse(BadRequest, err.Error()).write(w)
		return
	}
	done, err := s.cfg.Act(r.Context(), a)
	s.cfg.Log.Info("operator action", "action", string(a.Verb), "connection", a.Connection, "tunnel", a.Tunnel, "uid", who.uid,
		"result", result(err))
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, done)
}

func result(err error) string {
	if err != nil {
		return err.Error()
	}
	return "ok"
}

func problem(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return Refuse(ShuttingDown, err.Error())
}

func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("bug: an answer does not marshal: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(body, '\n')) // the client is gone if this fails
}
