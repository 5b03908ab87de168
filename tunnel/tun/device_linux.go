package tun

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

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

	vnet     bool // each packet has the kernel's header in front
	offloads Offloads

	inDo  func(fd uintptr) bool
	inNow func(fd uintptr) bool
	in    *Frame
	inGot bool
	inErr error

	outDo    func(fd uintptr) bool
	out      []Frame
	outNext  int // the frame to be written next; those before it are the taken ones and then the refused ones
	outTaken int
	outErr   error // the first
}

func newDevice(file, control *os.File, name string) (*device, error) {
	d := &device{file: file, control: control}
	d.name.Store(&name)
	d.inDo, d.inNow, d.outDo = d.take, d.takeNow, d.feed
	var err1, err2 error
	d.raw, err1 = file.SyscallConn()
	d.ioctl, err2 = control.SyscallConn()
	if err := errors.Join(err1, err2); err != nil {
		d.Close()
		return nil, fmt.Errorf("TUN device %q: %w", name, err)
	}
	return d, nil
}

func (d *device) Read(f *Frame) error {
	_, err := d.read(f, d.inDo)
	return err
}

func (d *device) Poll(f *Frame) (bool, error) { return d.read(f, d.inNow) }

func (d *device) read(f *Frame, how func(uintptr) bool) (bool, error) {
	d.in, d.inGot, d.inErr = f, false, nil
	err := d.raw.Read(how)
	d.in = nil
	return d.inGot, d.ended(err, d.inErr)
}

// take reads one packet; it reports false to be called again when one arrives.
func (d *device) take(fd uintptr) bool {
	f := d.in
	start := f.At
	if d.vnet {
		start -= Room
	}
	for {
		n, err := call(unix.SYS_READ, fd, f.Buf[start:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err != 0:
			d.inErr = err
		case n <= f.At-start:
			d.inErr = io.ErrShortBuffer // a packet is never empty; the kernel answers so to a buffer without room
		default:
			f.N, f.Kind, f.NeedsSum = n-(f.At-start), Single, false
			if d.vnet {
				f.decode()
			}
			d.inGot = true
		}
		return true
	}
}

// takeNow is take for a caller who does not wait.
func (d *device) takeNow(fd uintptr) bool {
	d.take(fd)
	return true
}

func (d *device) Write(fs []Frame) (int, error) {
	d.out, d.outNext, d.outTaken, d.outErr = fs, 0, 0, nil
	err := d.raw.Write(d.outDo)
	d.out = nil
	return d.outTaken, d.ended(err, d.outErr)
}

// feed writes what is left of out; it reports false to be called again when the device takes more.
func (d *device) feed(fd uintptr) bool {
	for d.outNext < len(d.out) {
		f := &d.out[d.outNext]
		b := f.Packet()
		if d.vnet {
			f.encode()
			b = f.Buf[f.At-Room : f.At+f.N]
		}
		err := unix.EINVAL
		if d.vnet || f.Kind == Single && !f.NeedsSum {
			_, err = call(unix.SYS_WRITE, fd, b)
		}
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		case 0:
			d.out[d.outTaken], *f = *f, d.out[d.outTaken]
			d.outTaken++
		case unix.EBADFD:
			d.outErr = err
			return true
		default:
			if d.outErr == nil {
				d.outErr = err
			}
		}
		d.outNext++
	}
	return true
}

// call is read or write. The descriptor does not block and a packet is done with in some microseconds, so the call goes to
// the kernel past Go's scheduler: telling it of each costs a tenth of all CPU time at full speed.
func call(trap, fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func (d *device) Offloads() Offloads { return d.offloads }

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
