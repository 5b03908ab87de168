package tuntest

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"twinbore/tunnel/tun"
)

func TestPacketsPassBothWays(t *testing.T) {
	f := New(1400)
	dev := f.Device()
	for _, p := range []string{"one", "two", "three"} {
		f.Out <- []byte(p)
	}
	fr := tun.Frame{Buf: make([]byte, 7), At: 4}
	for _, want := range []string{"one", "two"} {
		if ok, err := dev.Poll(&fr); !ok || err != nil || string(fr.Packet()) != want {
			t.Errorf("Poll = %v, %v, %q; want %q", ok, err, fr.Packet(), want)
		}
	}
	if err := dev.Read(&fr); err != nil || string(fr.Packet()) != "thr" {
		t.Errorf("Read = %v, %q; want the packet cut to the 3 octets there is room for", err, fr.Packet())
	}
	if ok, err := dev.Poll(&fr); ok || err != nil {
		t.Errorf("Poll of an empty device = %v, %v", ok, err)
	}

	out := []byte("headpayload")
	if n, err := dev.Write([]tun.Frame{{Buf: out, At: 4, N: 7}}); n != 1 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	out[4] = 'X' // the writer's buffer is the writer's again
	if got := string(<-f.In); got != "payload" {
		t.Errorf("host got %q, want payload", got)
	}
	if dev.MTU() != 1400 {
		t.Errorf("MTU %d, want 1400", dev.MTU())
	}
}

func TestAHostThatDoesNotReadLosesPackets(t *testing.T) {
	f := New(1400)
	n, err := f.Device().Write(make([]tun.Frame, queue+2))
	if n != queue || !errors.Is(err, syscall.ENOBUFS) || f.Dropped() != 2 {
		t.Errorf("Write = %d, %v, %d dropped; want %d, ENOBUFS, 2", n, err, f.Dropped(), queue)
	}
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(*Fake)
	}{
		{"closed by the gateway", func(f *Fake) { f.Device().Close() }},
		{"closed by the host", func(f *Fake) { close(f.Out) }},
	} {
		t.Run(end.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := New(1400)
				result := make(chan error, 1)
				go func() {
					result <- f.Device().Read(&tun.Frame{Buf: make([]byte, 10)})
				}()
				synctest.Wait()
				end.do(f)
				if err := <-result; err != os.ErrClosed {
					t.Errorf("Read = %v, want os.ErrClosed", err)
				}
			})
		})
	}
	f := New(1400)
	f.Device().Close()
	if n, err := f.Device().Write([]tun.Frame{{Buf: []byte{1}, N: 1}}); n != 0 || err != os.ErrClosed {
		t.Errorf("Write after Close = %d, %v; want 0, os.ErrClosed", n, err)
	}
	if err := f.Device().Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
