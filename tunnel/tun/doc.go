// Package tun reads and writes the IP packets of the inside network, through a TUN device of the Linux kernel.
//
//	host's programs ──► kernel routes ──► TUN queue ──► Device.Read  ──► data path ──► ESP
//	host's programs ◄── kernel        ◄── TUN       ◄── Device.Write ◄── data path ◄── ESP
//
// A Device moves whole IP packets, in batches, each at an offset in its buffer so that the data path can put
// headers in front without copying.
//
// Who owns what: one goroutine reads a device and one writes; buffers belong to the caller and are lent for the time
// of the call. The device exists as long as it is open. Its addresses, its routes and whether it is up are not this
// package's: routing/kernel brings those about by netlink.
//
// A device may be deleted or renamed by another program while it is open. Deleted: Read and Write return ErrGone, and
// whoever opened it may open it again. Renamed: Name and MTU follow.
//
// Not done here: the kernel's offloads, which hand over superpackets to be cut (IFF_VNET_HDR, TSO, USO), and several
// queues.
//
// Start reading with device.go. Package tuntest has a device without a kernel.
package tun
