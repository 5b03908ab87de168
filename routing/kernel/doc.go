// Package kernel brings the Linux tables to the wanted state by netlink: the addresses and the MTU of the device of each domain,
// a route for each prefix in the domain's table, and what keeps packets from going astray.
//
//	Apply(routes) ─┐                 ┌─ what is there (dump) ─┐
//	PinPeers ──────┼─► wanted state ─┤                        ├─► plan ─► replace …, then del …
//	SetLink ───────┘   (pure)        └─ what should be ───────┘  (pure)
//
// For a prefix 10.2.0.0/16 of a connection that is up, through the device twinbore0, the main table gets
//
//	10.2.0.0/16 dev twinbore0 proto 157 metric 200
//	unreachable 10.2.0.0/16 proto 157 metric 4000000000
//
// and while it is down only the second. That one is the leak guard: the device and its routes vanish when the daemon ends or
// dies, and without the guard the packets would leave in clear by the default route (TS-06). It stays when the daemon ends.
//
// When a wanted route covers the outer address of a peer, our own outer packets would be routed into the device. Then
// the peer gets a host route the way it would be reached without us; if there is no such way the covering route is
// held back and that is reported (TS-10).
//
//	198.51.100.1 via 192.0.2.254 dev eth0 proto 157 metric 200
//
// In a table other than main, where there are no routes of the host's, the pin is what main would say.
//
// Who owns what. Every route with our protocol number, in whatever table, is ours: what is not wanted is removed, also what a
// daemon before us has left. A route of another protocol is never touched: where it stands in the way (same
// table, prefix and metric) ours is left out and that is reported. Which tunnel a packet takes is not the kernel's
// business (tunnel/datapath), so a failover between tunnels changes nothing here.
//
// It is level-triggered: each change makes the whole wanted state anew, reads what is there, and does the difference, by
// replacing and never by deleting and adding (which loses packets in between). So doing it again does nothing, and a timer
// or a Watch, which hears of changes by others, may lead to Reconcile at any time. A device is known by its number, so that one
// that was renamed is followed and one that was made anew under the old name gets everything again; one that something
// else sets down is set up at once, and less and less quickly when that does not end (EV-18).
//
// Not done here: policy rules; VRFs; sysctls other than the three of
// EnableForwarding.
//
// Start reading at wanted.go, then plan.go; kernel.go and link.go do what they say. watch.go is a thing of its own.
package kernel
