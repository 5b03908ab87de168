package tun

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// lastingDevice opens a device that comes back, as open does one that does not, and returns what it was told.
func lastingDevice(t *testing.T, queues int) ([]Device, *[]error) {
	t.Helper()
	if os.Getuid() != 0 || Available() != nil {
		t.Skip("needs root and /dev/net/tun")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs root and /dev/net/tun: no network namespace: %v", err)
	}
	var told []error
	devs, err := OpenLasting(Config{Name: "tbt%d", MTU: 1380}, queues, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, d := range devs {
			d.Close()
		}
	})
	return devs, &told
}

func linkOf(t *testing.T, d Device) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(d.Name())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// EV-18: a device that somebody deletes is made again by whoever reads it, once for all its queues, and works; what is written
// meanwhile is lost, and nobody hears that anything is over.
func TestADeletedDeviceComesBack(t *testing.T) {
	for _, queues := range []int{1, 3} {
		t.Run(fmt.Sprint(queues), func(t *testing.T) {
			devs, told := lastingDevice(t, queues)
			first, name := linkOf(t, devs[0]).Attrs().Index, devs[0].Name()
			if err := netlink.LinkDel(linkOf(t, devs[0])); err != nil {
				t.Fatal(err)
			}
			if n, err := devs[0].Write(frames(udp4("x"))); n != 0 || err == nil || errors.Is(err, ErrGone) {
				t.Errorf("Write without a device = %d, %v; want 0 and that it is away", n, err)
			}
			for i, d := range devs {
				if got, err := d.Poll(slot()); got || err != nil {
					t.Errorf("queue %d: Poll = %v, %v", i, got, err)
				}
			}
			again := linkOf(t, devs[0])
			if again.Attrs().Index == first || devs[0].Name() != name || devs[0].MTU() != 1380 || len(*told) != 1 || (*told)[0] != nil {
				t.Fatalf("device %d before and %d after, name %q, MTU %d, told %v", first, again.Attrs().Index, devs[0].Name(), devs[0].MTU(), *told)
			}
			addr, _ := netlink.ParseAddr(hostAddr + "/24")
			if err := errors.Join(netlink.AddrAdd(again, addr), netlink.LinkSetUp(again)); err != nil {
				t.Fatal(err)
			}
			for i, d := range devs {
				if n, err := d.Write(frames(udp4("x"))); n != 1 || err != nil {
					t.Errorf("queue %d of the new device: Write = %d, %v", i, n, err)
				}
			}
		})
	}
}

// EV-18: a device that cannot be made again says why, and Close ends the waiting.
func TestADeviceThatCannotComeBack(t *testing.T) {
	devs, _ := lastingDevice(t, 1)
	q := devs[0].(*lasting)
	refused, said := errors.New("no more devices"), make(chan error, 10)
	q.open, q.told = func() ([]Device, error) { return nil, refused }, func(err error) { said <- err }
	if err := netlink.LinkDel(linkOf(t, q)); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- q.Read(slot()) }()
	if err := <-said; err != refused {
		t.Errorf("told %v, want %v", err, refused)
	}
	q.Close()
	if err := <-result; err != os.ErrClosed {
		t.Errorf("Read = %v, want os.ErrClosed", err)
	}
	if len(said) != 0 {
		t.Errorf("told again: %v", <-said)
	}
}
