package tun

import "errors"

// A Device moves whole IP packets and superpackets.
// One goroutine may read while another writes.
type Device interface {
	// Read waits for a packet and puts it into f, of which the caller has set Buf and At. A packet that is longer
	// than the room is cut, so there should be room for the largest MTU in use, and for 65,535 octets where there are
	// offloads; its IP header then tells of more octets than there are. The error is os.ErrClosed after Close and ErrGone if
	// the device was deleted; no error goes away by trying again.
	Read(f *Frame) error

	// Poll is Read without waiting. It reports whether there was a packet.
	Poll(f *Frame) (bool, error)

	// Write gives frames to the host, in order. It returns how many the host took and the first error. A frame that
	// the host refuses (the device is down, the octets are no IP packet, the kernel does not take such superpackets)
	// is lost and the others go on; with os.ErrClosed and ErrGone nothing goes on. The refused ones are fs[n:]
	// afterwards; frames change their places for it. The Room octets in front of each packet are overwritten.
	Write(fs []Frame) (n int, err error)

	// Offloads returns which superpackets the device gives and takes.
	Offloads() Offloads

	// Lost returns how many packets of the host found the device's queues full, or the device not ready, since it was made.
	// It asks the kernel; queues of one device all give the same number.
	Lost() uint64

	// MTU returns the device's MTU in octets. It may ask the kernel, so it is not for each packet.
	MTU() int

	// Name returns the name of the network interface. It may ask the kernel.
	Name() string

	// Close deletes the device, unless it was made to persist by another program. A waiting Read returns
	// os.ErrClosed. Closing twice does nothing.
	Close() error
}

// Offloads says which superpackets a device knows. Without any, each frame is one packet with all its checksums.
type Offloads struct {
	TSO bool // of TCP segments
	USO bool // of UDP datagrams
}

// ErrGone tells that the network interface was deleted while the device was open. Close the device and open
// a new one.
var ErrGone = errors.New("the TUN device was deleted")

// Config says which device Open makes or takes.
type Config struct {
	// Name is the interface name, at most 15 octets. A "%d" in it stands for the first free number.
	Name string
	// MTU in octets, 68 to 65535. 0 leaves the kernel's choice, 1500 for a new device.
	MTU int
	// NoTSO and NoUSO do without superpackets of TCP and of UDP. Otherwise they are used where the kernel has them.
	NoTSO, NoUSO bool
}
