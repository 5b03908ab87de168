//go:build interop

package interop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A daemon that has to wait for the processor loses what its sockets cannot hold meanwhile. With queues this deep, in octets,
// a probe that counts lost packets tells of the protocol and not of the machine's mood.
const deep = 8 << 20

// deepen makes a socket's queue deep.
func deepen(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, deep) })
	return errors.Join(err, inner)
}

// deepenAll does it for the UDP sockets of another process, which it borrows (pidfd_getfd(2)).
func deepenAll(pid int) error {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	defer unix.Close(process)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return err
	}
	for _, f := range files {
		n, err := strconv.Atoi(f.Name())
		if err != nil {
			return err
		}
		fd, err := unix.PidfdGetfd(process, n, 0)
		if err != nil {
			continue // closed since
		}
		if protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && protocol == unix.IPPROTO_UDP {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, deep)
			if err != nil {
				unix.Close(fd)
				return fmt.Errorf("queue of socket %d: %w", n, err)
			}
		}
		unix.Close(fd)
	}
	return nil
}
