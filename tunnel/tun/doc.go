// Package tun reads and writes the IP packets of the inside network, through a TUN device of the Linux kernel.
//
//	host's programs ──► kernel routes ──► TUN queue ──► Device.Read  ──► data path ──► ESP
//	host's programs ◄── kernel        ◄── TUN       ◄── Device.Write ◄── data path ◄── ESP
//
// A Device moves frames: whole IP packets, each at a place in its buffer where there is room in front for headers, and
// superpackets. A superpacket is what the kernel would otherwise cut into packets just before it hands them over (TSO and
// USO, by IFF_VNET_HDR); it crosses the boundary in one call, and its packets come into being where they are sealed. The other
// way, packets of one flow that came out of ESP one after another are given to the kernel as one. What is cut and joined, and
// by which rules, is the data path's business; the words are in frame.go.
//
// A device may have several queues, each of which is a Device with a reader and a writer (queues_linux.go); the kernel keeps
// a flow in one.
//
// Who owns what: one goroutine reads a device and one writes; buffers belong to the caller and are lent for the time
// of the call. The device exists as long as it is open. Its addresses, its routes and whether it is up are not this
// package's: routing/kernel brings those about by netlink.
//
// A device may be deleted or renamed by another program while it is open. Deleted: Read and Write return ErrGone, and
// whoever opened it may open it again; OpenLasting does. Renamed: Name and MTU follow.
//
// Start reading with device.go. Package tuntest has a device without a kernel.
package tun
