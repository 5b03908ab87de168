// Package daemon puts the parts together and runs them. build.go is the only place where they meet.
//
//	config ──build.go──►  ike.Engine   datapath.Gateway   tunnel.Connection…   routing/kernel   api.Server
//
//	   engine's shards ── session.Event ──┐                                ┌──► engine.Do: initiate, close, rekey
//	   gateway ── acquire, spent ─────────┤                                ├──► gateway.Choose
//	   finder ── outer addresses ─────────┼──► mailbox ──► loop ───────────┼──► routes: what the host's table shall hold
//	   host's network ── stirred ─────────┤          (one goroutine)       ├──► recorder and timeline: what logs and events show
//	   keeper ── secured ─────────────────┤                                │
//	   api ── questions, orders ──────────┘                                └──► log: the operator's timeline
//
// Beside the loop, the gateway and the stack inside the tunnels (netstack.go) give each other packets of the gateway itself:
//
//	gateway ── Control ──► netstack.Stack ── Send ──► gateway
//
// Whether packets arrive (health.go, pulse.go): the loop looks at the counters of tunnels that are up, every 50 ms while something is
// sent and less and less often up to a second otherwise, and tells a connection of silence; the connection says what to ask, and
// answers come by mail: of pings from the stack, of IKE from the engine's shards.
//
// Who owns what: the loop's goroutine owns the connections, which decide (package tunnel), the domains' tables (domains.go),
// which say who carries what, and what the status shows of SAs. The routes goroutine owns the host's tables and is told the whole wanted state each time. Everything else
// belongs to the packages that are wired here. Goroutines are started by Run alone, which returns when all have ended.
//
// The keeper (keeper.go, rotate.go; keepernews.go is what it tells) owns the secrets: it looks them up for a configuration (use, from Daemon.peers) and again
// at every refresh, and gives the engine what has changed. Nobody else gives the engine secrets.
//
// Ending (stop.go): connections are deleted, which closes their SAs at the peers and takes their routes away; that has
// 1.2 s, and what has not answered by then is dropped. Then engine, data path and routes end, 2 s in all.
//
// What is made at run time (objects.go) takes one way: files and store are checked together by Origin, the store is written, and
// Reconfigure brings the result into effect.
//
// Changing (reload.go, confirm.go, configure.go): a configuration is compared with the one that runs (config.Diff); secrets are
// looked up and connections made for what is different, and nothing else; then the loop swaps (swap.go), which the data path and
// the routes can still refuse, and after that nothing fails. Tunnels that must be restarted go one after the other (restart.go).
// One change waits for another. What waits to be confirmed is kept in memory alone: a daemon that is killed meanwhile begins with
// its files.
//
// With watch: true the files are looked at each second (filewatch.go).
//
// Not done here: hand-over to another process.
//
// Start reading at build.go, then loop.go.
package daemon
