// Package fib says which VPN connection a packet belongs to: longest prefix to connection and tunnel (R33), and the
// sets of host addresses that the packet path asks about.
//
//	destination ──► Table.Lookup ──► Entry{connection, tunnel or "the active one"}
//	source      ──► the same lookup: the connection that owns it, or nobody (anti-spoofing)
//
// A Table and a Hosts never change after they are made; whoever makes a new one publishes it in an atomic
// pointer, and readers take neither a lock nor an allocation. Connections are numbers here: their names, and which of
// their tunnels carries a flow, belong to tunnel/datapath.
//
// Not done here: who owns a prefix (routing/domain), the kernel's routes
// (routing/kernel).
//
// Start reading at Build.
package fib
