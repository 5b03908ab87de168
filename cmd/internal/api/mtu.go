package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// An MTUQuery says where to measure how large packets may be, and through what (F7).
type MTUQuery struct {
	Connection string
	Tunnel     string     // empty: each of the connection's
	Target     netip.Addr // behind the peer, or the peer's inside address; it must answer ping
	From       netip.Addr // as of a PingQuery
}

// measuring is how long a measurement takes at most: some sizes, each tried a few times.
const measuring = 60 * time.Second

// Measured is the answer to POST …/actions/mtu.
type Measured struct {
	Connection string           `json:"connection"`
	Target     string           `json:"target"`
	Tunnels    []TunnelMeasured `json:"tunnels"`
}

// TunnelMeasured is the sum of what is around a packet in one tunnel, and what the path has been found to take. All sizes are octets
// of IP packets.
type TunnelMeasured struct {
	Tunnel   string     `json:"tunnel"`
	From     *string    `json:"from"`     // our address; null: none was found
	PathMTU  int        `json:"path_mtu"` // of the outer packet: configured, or less where the route says so
	Around   []Overhead `json:"around"`   // what of it is not the inner packet
	InnerMTU int        `json:"inner_mtu"`
	Suite    string     `json:"suite"`    // the ESP algorithm
	Measured *int       `json:"measured"` // the largest inner packet that was answered; null: none was
	Outer    *int       `json:"outer"`    // how large the outer packet of that was
	Refused  *Refused   `json:"refused"`  // who said that one is too big; null: nobody, or none was
	Probes   int        `json:"probes"`   // that were sent
	Error    *string    `json:"error"`    // why nothing was measured
}

// Overhead is a part of the outer packet.
type Overhead struct {
	What   string `json:"what"`
	Octets int    `json:"octets"`
}

// Refused is a router, or the target, that said what is too big.
type Refused struct {
	By  string `json:"by"`
	MTU *int   `json:"mtu"` // octets of the largest packet that it takes; null: not said
}

// path is where the query is posted.
func (q MTUQuery) path() string {
	v := url.Values{"target": {q.Target.String()}}
	if q.From.IsValid() {
		v.Set("from", q.From.String())
	}
	return Action{Verb: "mtu", Connection: q.Connection, Tunnel: q.Tunnel}.path() + "?" + v.Encode()
}

func (q MTUQuery) check() error {
	if !q.Target.IsValid() {
		return errors.New("target is not set: the address to measure to")
	}
	return nil
}

func (s *Server) mtu(w http.ResponseWriter, r *http.Request) {
	q := MTUQuery{Connection: r.PathValue("connection"), Tunnel: r.PathValue("tunnel")}
	err := readQuery(r, map[string]func(string) error{"target": into(&q.Target, netip.ParseAddr), "from": into(&q.From, netip.ParseAddr)})
	if err == nil {
		err = q.check()
	}
	if err != nil {
		Refuse(BadRequest, err.Error()).write(w)
		return
	}
	s.lasts(w, measuring)
	ctx, cancel := context.WithTimeout(r.Context(), measuring)
	defer cancel()
	done, err := s.cfg.MTU(ctx, q)
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, done)
}

// MTU measures how large packets may be. A *Problem is what the daemon refused it with.
func (c *Client) MTU(ctx context.Context, q MTUQuery) (Measured, error) {
	var done Measured
	if err := q.check(); err != nil {
		return done, err
	}
	return done, c.post(ctx, q.path(), &done)
}
