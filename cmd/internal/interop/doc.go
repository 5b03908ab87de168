// Package interop runs the built program against real peers: strongSwan's charon in its own network namespace, with
// kernel-libipsec as its data path; and strongSwan, Libreswan and OpenIKED with a Linux kernel's own ESP, in User-Mode
// Linux. The package is all tests, behind the build tag interop; they need root.
//
//	la ──10.1.0.0/24── a ──192.0.2.0/24── r ──198.51.100.0/24── b ──10.2.0.0/24── lb
//	   .2          .1     .1          .254  .254          .1 .2   .1          .2
//	   fd00:1::           2001:db8:1::      2001:db8:2::          fd00:2::
//
//	a: bin/twinbore     b: the peer     la, lb: hosts behind them     r: a router: NAT, black holes, and the capture
//
// A scenario is a folder of testdata/interop: description.txt says what it shows, twinbore.yaml and swanctl.conf are
// the two ends, script.txt is what happens and what must be seen (commands_test.go has the words), charon.conf adds to
// charon's settings, and matrix.txt runs the scenario once for each combination of its rows. Words between @ in any of
// these files are values of the row; @DIR@ is a folder of the run.
//
// Labs share nothing, and most of a scenario's time is waiting: as many run at once as -parallel says. Scripts with the word
// quiet, because they count lost packets, go before all others, a few at once.
//
// A peer with a kernel of its own is a guest (guest_test.go) that stands in for b: its devices are joined to b's cables by
// bridges, and it has b's addresses. Its root is this machine's, read-only, with a tree of build/peers laid over it for
// a daemon that cannot be installed beside strongSwan. testdata/interop/uml holds its first process and how each daemon
// starts. The scenarios that begin with "kernel-" need one, and are left out by name where there is none.
//
// Whatever a scenario shows, its capture between a and r must hold IKE, no packet that tshark finds malformed, and no
// packet from or to the inner networks: nothing leaves in clear. r counts such packets as well, on each of its devices, before
// any rule of a script (leak_test.go).
//
// Who owns what: a lab owns its namespaces, processes and folder, and takes them away when its test ends; processes
// are ended by their ids.
//
// Start reading at scenario_test.go, then commands_test.go, peers_test.go and any folder of testdata/interop.
package interop
