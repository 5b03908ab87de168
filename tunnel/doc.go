// Package tunnel decides what a VPN connection and its tunnels do next. It moves no packet and speaks no protocol: it
// is told facts, and answers with commands for IKE, a choice for the data path and what changed for the operator.
//
//	IKE sessions   operator   traffic   the clock            ike engine   data path   routes   log, status
//	      └───────────┴───┬──────┴─────────┘                      ▲           ▲         ▲          ▲
//	                      ▼                                       │           │         │          │
//	        Connection.Handle(now, Event) ──► Output{ IKE ────────┘   Choose ─┘  Routes ┘  Changes ┘  Wake }
//
// Life of a connection, and (a separate fact) of each of its tunnels:
//
//	pending ──first tunnel UP──► available ──Delete──► deleting ──all SAs gone, or 5 s──► deleted
//
//	DOWN ◄──────────────────────────────────────────────► UP     a Child SA lives and the operator allows it
//	  ├ resting   nothing is known of the peer; NextRetry says when it is asked again
//	  ├ trying    an IKE SA was asked for and nothing has come of it yet
//	  ├ bare      an IKE SA lives but no Child SA: it is asked for one, and closed when that does not help
//	  └ leaving   an IKE SA was told to close and has not gone yet
//
// UP is recomputed from the set of live Child SAs at every step and never derived from one event, so the order in which
// events arrive cannot leave a tunnel UP that carries nothing. Every wait has a deadline: an answer that never comes
// costs time, never the tunnel. Nothing is given up for good; only the operator, `start: wait` and `dpd: clear` make a
// tunnel rest.
//
// While the operator holds a tunnel down IKE is told to bar its peer: it gets no answer, as every handshake would have to be
// deleted again at once.
//
// Who owns what: a Connection belongs to one goroutine (in the daemon). It keeps no clock, starts no goroutine and is
// a pure function of its configuration (seed included), the events and the times it is given; the transcripts in
// testdata and the simulation rest on that.
//
// Not done here: BGP and probe results as conditions of UP, idle timeouts, and sending on both tunnels at once.
//
// Start reading at connection.go (facts in, decisions out), then drive.go (when to start and to close) and choose.go
// (which tunnel carries the traffic). Reason codes and their hints are in reason.go, states and reports in state.go.
package tunnel
