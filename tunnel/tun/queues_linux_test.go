package tun

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// openQueues makes a device with n queues in a network namespace of the test's own, see open.
func openQueues(t testing.TB, cfg Config, n int) []Device {
	t.Helper()
	open(t, Config{Name: "other%d"}).Close() // for the namespace
	queues, err := OpenQueues(cfg, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, q := range queues {
			q.Close()
		}
	})
	return queues
}

func TestQueuesShareTheFlowsOfOneDevice(t *testing.T) {
	const n, flows, each = 4, 64, 5
	queues := openQueues(t, Config{Name: "tbt%d", MTU: 1400}, n)
	if len(queues) != n {
		t.Fatalf("%d queues, want %d", len(queues), n)
	}
	first := queues[0].(*device)
	up(t, first)
	host := hostSocket(t)
	for i := range each {
		for flow := range flows {
			far := netip.AddrPortFrom(netip.MustParseAddr(farAddr), uint16(1000+flow))
			if _, err := host.WriteToUDPAddrPort([]byte{byte(i)}, far); err != nil {
				t.Fatal(err)
			}
		}
	}
	f, used, next, where := slot(), map[int]bool{}, [flows]byte{}, map[uint16]int{}
	for i, q := range queues {
		if q.Name() != first.Name() || q.MTU() != 1400 || q.Offloads() != first.Offloads() {
			t.Errorf("queue %d: %q, MTU %d, %+v; want as the first", i, q.Name(), q.MTU(), q.Offloads())
		}
		for {
			ok, err := q.Poll(f)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			pkt := f.Packet()
			if pkt[0] != 0x45 || pkt[9] != 17 {
				continue
			}
			used[i] = true
			port := binary.BigEndian.Uint16(pkt[22:])
			if was, known := where[port]; known && was != i {
				t.Errorf("flow %d came by queues %d and %d", port, was, i)
			}
			where[port] = i
			if flow := port - 1000; pkt[28] != next[flow] {
				t.Errorf("flow %d: packet %d, want %d", port, pkt[28], next[flow])
			} else {
				next[flow]++
			}
		}
	}
	if len(where) != flows || len(used) < 2 {
		t.Errorf("%d of %d flows came, by %d queues", len(where), flows, len(used))
	}
	for i, q := range queues {
		if k, err := q.Write(frames(udp4(fmt.Sprint("queue ", i)))); k != 1 || err != nil {
			t.Errorf("queue %d: Write = %d, %v", i, k, err)
		}
	}
	host.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 100)
	for i := range n {
		if k, err := host.Read(b); err != nil || string(b[:k]) != fmt.Sprint("queue ", i) {
			t.Errorf("the host got %q, %v", b[:k], err)
		}
	}

	// It is there while one queue is open.
	name := first.Name()
	for i, q := range queues {
		if _, err := netlink.LinkByName(name); err != nil {
			t.Errorf("with %d queues closed: %v", i, err)
		}
		q.Close()
	}
	if _, err := netlink.LinkByName(name); err == nil {
		t.Error("the device is there with all queues closed")
	}
}

// Whoever has several queues has the device to himself, and so has who has one.
func TestQueuesAreNotShared(t *testing.T) {
	queues := openQueues(t, Config{Name: "tbt0"}, 2)
	for _, n := range []int{1, 2} {
		if again, err := OpenQueues(Config{Name: "tbt0"}, n); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%d more queues: %v, %v", n, again, err)
		}
	}
	for _, q := range queues {
		q.Close()
	}
	one, err := OpenQueues(Config{Name: "tbt0"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer one[0].Close()
	if again, err := OpenQueues(Config{Name: "tbt0"}, 2); !errors.Is(err, unix.EBUSY) {
		t.Errorf("beside a device with one queue: %v, %v", again, err)
	}
}

// A device that an operator made to persist has the queue that it has.
func TestADeviceThatIsThereHasOneQueue(t *testing.T) {
	open(t, Config{Name: "other%d"}).Close()
	if err := netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tbt0"}, Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_NO_PI}); err != nil {
		t.Fatal(err)
	}
	queues, err := OpenQueues(Config{Name: "tbt0"}, 3)
	if err != nil || len(queues) != 1 {
		t.Fatalf("%d queues, %v; want 1", len(queues), err)
	}
	queues[0].Close()
}

// What finds the queue full is counted: the host's programs see it as loss only.
func TestAFullQueueIsCounted(t *testing.T) {
	d := open(t, Config{Name: "tbt%d"})
	up(t, d)
	l := link(t, d)
	if err := netlink.LinkSetTxQLen(l, 4); err != nil {
		t.Fatal(err)
	}
	before := d.Lost()
	host, far := hostSocket(t), netip.MustParseAddrPort(farAddr+":7")
	for range 20 {
		host.WriteToUDPAddrPort([]byte("x"), far)
	}
	f, arrived := slot(), uint64(0)
	for {
		ok, err := d.Poll(f)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if pkt := f.Packet(); pkt[0] == 0x45 && pkt[9] == 17 {
			arrived++
		}
	}
	if lost := d.Lost() - before; lost == 0 || lost+arrived < 20 {
		t.Errorf("%d of 20 arrived and %d are counted as lost", arrived, lost)
	}
}
