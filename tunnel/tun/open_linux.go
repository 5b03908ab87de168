package tun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// clonePath is where a TUN device is asked for.
const clonePath = "/dev/net/tun"

// Open makes the device, or takes one of that name that another program made to persist. It is down and has no
// address. The error says what is missing: the module, the privilege, or a free name.
func Open(cfg Config) (Device, error) {
	d, err := create(cfg, 0)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// create is Open with more flags for TUNSETIFF.
func create(cfg Config, more uint16) (*device, error) {
	if cfg.MTU != 0 && (cfg.MTU < 68 || cfg.MTU > 65535) {
		return nil, fmt.Errorf("TUN device %q: MTU %d is not within 68 to 65535", cfg.Name, cfg.MTU)
	}
	ifr, err := unix.NewIfreq(cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("TUN device %q: the name is longer than 15 octets", cfg.Name)
	}
	vnet := !cfg.NoTSO || !cfg.NoUSO
	flags := unix.IFF_TUN | unix.IFF_NO_PI | more
	if vnet {
		flags |= unix.IFF_VNET_HDR
	}
	ifr.SetUint16(flags)
	d, err := attach(ifr)
	if err != nil {
		return nil, err
	}
	if vnet {
		d.vnet, d.offloads = true, d.offer(cfg)
	}
	if err := d.readyMTU(cfg.MTU); err != nil {
		d.Close()
		return nil, err
	}
	d.readyQueue()
	return d, nil
}

// attach opens a descriptor on the device that ifr names, with its flags, and makes the device if there is none. The name
// that the kernel chose is in ifr afterwards.
func attach(ifr *unix.Ifreq) (*device, error) {
	fd, err := openClone()
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TUN device %q: %w", ifr.Name(), explain(err))
	}
	control, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TUN device %q: control socket: %w", ifr.Name(), err)
	}
	// Only now may the descriptor meet the poller: before TUNSETIFF it polls as an error.
	return newDevice(os.NewFile(uintptr(fd), clonePath), os.NewFile(uintptr(control), "tun control"), ifr.Name())
}

// Available returns nil if Open can work here, else what is missing: /dev/net/tun, or the privilege CAP_NET_ADMIN.
func Available() error {
	fd, err := openClone()
	if err != nil {
		return err
	}
	unix.Close(fd)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // version 3 has two words
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("TUN device: read the capabilities of this process: %w", err)
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return errors.New("TUN device: this process lacks CAP_NET_ADMIN")
	}
	return nil
}

func openClone() (fd int, err error) {
	fd, err = unix.Open(clonePath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return 0, fmt.Errorf("open %s: %w (hint: load the module tun; a container must be given the device)", clonePath, err)
	}
	return 0, fmt.Errorf("open %s: %w", clonePath, err)
}

func explain(err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w (hint: another process has the device open)", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (hint: making a TUN device needs CAP_NET_ADMIN)", err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w (hint: an interface of that name exists and is no TUN device or has several queues, or the name is not valid)", err)
	}
	return err
}
