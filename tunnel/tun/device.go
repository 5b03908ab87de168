package tun

import "errors"

// A Device moves whole IP packets in batches; offset leaves room for headers in each buffer.
// One goroutine may read while another writes.
type Device interface {
	// Read waits for a packet and then takes what else is there without waiting, at most len(bufs). Packet i is at
	// bufs[i][offset : offset+sizes[i]]; sizes must be as long as bufs. A packet that is longer than its buffer is
	// cut, so each should have room for the largest MTU in use; its IP header then tells of more octets than there are.
	// The error is os.ErrClosed after Close and ErrGone if the device was deleted; no error goes away by trying again.
	Read(bufs [][]byte, sizes []int, offset int) (n int, err error)

	// Write gives the packets bufs[i][offset:] to the host, in order. It returns how many the host took and the first
	// error. A packet that the host refuses (the device is down, the octets are no IP packet) is lost and the others
	// go on; with os.ErrClosed and ErrGone nothing goes on.
	Write(bufs [][]byte, offset int) (n int, err error)

	// MTU returns the device's MTU in octets. It may ask the kernel, so it is not for each packet.
	MTU() int

	// Name returns the name of the network interface. It may ask the kernel.
	Name() string

	// Close deletes the device, unless it was made to persist by another program. A waiting Read returns
	// os.ErrClosed. Closing twice does nothing.
	Close() error
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
}
