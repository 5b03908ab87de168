package tun

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// device is a TUN device on the runtime's poller. The reader owns the fields that begin with in, the writer those
// that begin with out: they are the arguments and results of the functions that the poller calls, which are made
// once because a closure for each call would be an allocation.
type device struct {
	file    *os.File
	raw     syscall.RawConn
	control *os.File        // a socket of the device's network namespace, for ioctls by name
	ioctl   syscall.RawConn // of control
	closed  atomic.Bool
	name    atomic.Pointer[string] // as last told by the kernel
	mtu     atomic.Int32

	inDo     func(fd uintptr) bool
	inBufs   [][]byte
	inSizes  []int
	inOffset int
	inGot    int
	inErr    error

	outDo     func(fd uintptr) bool
	outBufs   [][]byte
	outOffset int
	outTaken  int
	outErr    error // the first
}

func newDevice(file, control *os.File, name string) (*device, error) {
	d := &device{file: file, control: control}
	d.name.Store(&name)
	d.inDo, d.outDo = d.drain, d.feed
	var err1, err2 error
	d.raw, err1 = file.SyscallConn()
	d.ioctl, err2 = control.SyscallConn()
	if err := errors.Join(err1, err2); err != nil {
		d.Close()
		return nil, fmt.Errorf("TUN device %q: %w", name, err)
	}
	return d, nil
}

func (d *device) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	if len(bufs) == 0 {
		return 0, nil
	}
	d.inBufs, d.inSizes, d.inOffset, d.inGot, d.inErr = bufs, sizes, offset, 0, nil
	err := d.raw.Read(d.inDo)
	d.inBufs, d.inSizes = nil, nil
	return d.inGot, d.ended(err, d.inErr)
}

// drain reads packets until there is none left or no room; it reports false to be called again when one arrives.
func (d *device) drain(fd uintptr) bool {
	for d.inGot < len(d.inBufs) {
		n, err := unix.Read(int(fd), d.inBufs[d.inGot][d.inOffset:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return d.inGot > 0
		case err == nil && n == 0:
			err = io.ErrShortBuffer // a packet is never empty; the kernel answers so to a buffer without room
		}
		if err != nil {
			// What was read first is handed over first; the next call meets the error again.
			if d.inGot == 0 {
				d.inErr = err
			}
			return true
		}
		d.inSizes[d.inGot] = n
		d.inGot++
	}
	return true
}

func (d *device) Write(bufs [][]byte, offset int) (int, error) {
	d.outBufs, d.outOffset, d.outTaken, d.outErr = bufs, offset, 0, nil
	err := d.raw.Write(d.outDo)
	d.outBufs = nil
	return d.outTaken, d.ended(err, d.outErr)
}

// feed writes what is left of outBufs and drops each packet that it is done with from the list; it reports false to
// be called again when the device takes more.
func (d *device) feed(fd uintptr) bool {
	for len(d.outBufs) > 0 {
		_, err := unix.Write(int(fd), d.outBufs[0][d.outOffset:])
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		case nil:
			d.outTaken++
		case unix.EBADFD:
			d.outErr = err
			return true
		default:
			if d.outErr == nil {
				d.outErr = err
			}
		}
		d.outBufs = d.outBufs[1:]
	}
	return true
}

// ended chooses the error to return: that of the poller, which is about the descriptor, before that of the kernel.
func (d *device) ended(poller, kernel error) error {
	switch {
	case d.closed.Load() && (poller != nil || kernel != nil):
		return os.ErrClosed
	case poller == nil && kernel == nil:
		return nil
	case poller != nil && !d.gone():
		return fmt.Errorf("TUN device %q: %w", *d.name.Load(), poller)
	case poller != nil, kernel == unix.EBADFD:
		return fmt.Errorf("TUN device %q: %w", *d.name.Load(), ErrGone)
	}
	return kernel
}

// gone asks the descriptor whether it has lost its interface. The poller only knows that something is wrong with it.
func (d *device) gone() bool {
	_, err := d.askName()
	return errors.Is(err, unix.EBADFD)
}

func (d *device) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	d.control.Close()
	if err := d.file.Close(); err != nil {
		return fmt.Errorf("close TUN device %q: %w", *d.name.Load(), err)
	}
	return nil
}
