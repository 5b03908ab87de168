// Package tunnel decides what a VPN connection and its tunnels do next. It moves no packet and speaks no protocol: it
// is told facts, and answers with commands for IKE, a choice for the data path and what changed for the operator.
//
//	IKE sessions   operator   traffic   the clock        ike engine  pings   data path   routes   log, status
//	      └───────────┴───┬──────┴─────────┘                  ▲        ▲         ▲          ▲         ▲
//	                      ▼                                   │        │         │          │         │
//	        Connection.Handle(now, Event) ──► Output{ IKE ────┘  Probe ┘  Choose ┘  Routes ─┘ Changes ┘  Wake }
//
// Life of a connection, and (a separate fact) of each of its tunnels:
//
//	pending ──first tunnel UP──► available ──Delete──► deleting ──all SAs gone, or 5 s──► deleted
//
//	DOWN ◄──────────────────────────────────────────────► UP     a Child SA lives, the operator allows it, and packets pass
//	  ├ resting   nothing is known of the peer; NextRetry says when it is asked again
//	  ├ trying    an IKE SA was asked for and nothing has come of it yet
//	  ├ bare      an IKE SA lives but no Child SA: it is asked for one, and closed when that does not help
//	  ├ leaving   an IKE SA was told to close and has not gone yet
//	  └ gone      a Child SA lives, and what is sent by it does not arrive: PROBE_LOST
//
// Whether packets pass is asked when there is a reason to doubt it, and regularly with a keepalive only:
//
//	calm ──we send, nothing comes──► suspected ──three questions without an answer──► gone
//	  ▲                                  │ an authentic packet                          │ three answers in a row, or one if
//	  └──────────────────────────────────┴──────────────────────────────────────────────┘ there is no other tunnel
//
// What comes says nothing of what leaves: a path may be cut in one direction. So where the peer pings us while our packets
// should have told it that we are there, or our own host has no way to it (Doubted), only an answer clears the suspicion.
//
// A question is a ping through the tunnel and an IKE request. Where the peer has answered a ping since the tunnel came up
// it is the ping that counts, as ESP may be lost where IKE passes; elsewhere IKE's answer has to do. A tunnel that is gone is
// DOWN if there is another to use; with none it is used as before, unless a keepalive says that it is down.
//
// Traffic returns to the preferred tunnel, once lost, when it has been UP for Config.PreemptAfter; with active-active any tunnel
// joins the others again after 10 s. Each further loss within 5 min makes that longer: 20 s at least, 40 s, up to 5 min. Where the peer moves its traffic to another tunnel ours follows.
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
// Not done here: BGP as a condition of UP.
//
// Start reading at connection.go (facts in, decisions out), then drive.go (when to start and to close), health.go (whether packets
// pass), drain.go and choose.go (which tunnels carry the traffic). Reason codes and their hints are in reason.go, states and reports in state.go.
package tunnel
