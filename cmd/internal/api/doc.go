// Package api is how programs talk to a running daemon: HTTP and JSON over a unix socket.
//
//	twinbore status ──► Client ──► unix socket ──► Server ──► Config.Status, Config.Act … (the daemon's loop), Config.Logs, Config.Events
//	                               0660 root:group in a directory of 0750; SO_PEERCRED on each connection
//
//	GET  /v1/status
//	GET  /v1/logs          ?connection= &tunnel= &since= &after= &level=     the flight recorder; after is the last id that was read
//	GET  /v1/events        ?since= &follow=1                         since is a time, or the last id that was read
//	GET  /v1/routes        ?connection=
//	POST, DELETE /v1/connections/{connection}/routes                 ?prefix=, once for each: what an operator adds, or takes away again
//	GET  /v1/connections, /v1/customer-gateways                      what is configured, made at run time, and deleted in the last hour
//	GET, POST, PUT, PATCH, DELETE /v1/connections/{name}, /v1/customer-gateways/{name}
//	                       the body is one object in the language of the configuration, YAML or JSON; POST makes a new one, PUT makes
//	                       or replaces, PATCH merges (RFC 7396). The answer comes when it is on the disk and in effect.
//	POST /v1/connections/{connection}/actions/{up|down|restart|rekey|undrain}                      ?sa=ike|child with rekey
//	POST /v1/connections/{connection}/tunnels/{tunnel}/actions/{up|down|restart|rekey|drain|undrain}
//	POST /v1/connections/{connection}[/tunnels/{tunnel}]/actions/ping                      ?target=&from=&count=&interval=&timeout=&size=
//	POST /v1/connections/{connection}[/tunnels/{tunnel}]/actions/mtu                       ?target=&from=
//	POST /v1/connections/{connection}/tunnels/{tunnel}/actions/rotate-psk                  {"secret": …, "grace_seconds": …}
//
// Errors are RFC 9457 problems with a `reason`. The shape of the status is a contract with programs outside: fields may
// be added, never renamed or dropped while schemaVersion stays the same; absent values are null. testdata/status.json
// holds it still.
//
// Who may do what: the socket's mode keeps strangers out, and the credentials that the kernel reports are checked again
// for every connection. Root, the daemon's own user and members of the socket's group may look and act; each action is
// logged with the user that asked for it.
//
// Events come as JSON lines, or as server-sent events for who accepts text/event-stream; both can be resumed by id. One that
// does not read them in time is cut off (CTL-04).
//
// Not done here: TCP with TLS, metrics and the status page; of the events those of parts that are not built: BGP.
//
// Start reading at status.go (the words), then server.go; listen.go makes the socket safely.
package api
