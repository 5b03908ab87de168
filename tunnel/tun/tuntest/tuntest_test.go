package tuntest

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
)

func TestPacketsPassBothWays(t *testing.T) {
	f := New(1400)
	dev := f.Device()
	for _, p := range []string{"one", "two", "three"} {
		f.Out <- []byte(p)
	}
	bufs, sizes := [][]byte{make([]byte, 7), make([]byte, 7)}, make([]int, 2)
	n, err := dev.Read(bufs, sizes, 4)
	if n != 2 || err != nil {
		t.Fatalf("Read = %d, %v; want both buffers filled", n, err)
	}
	for i, want := range []string{"one", "two"} {
		if got := string(bufs[i][4 : 4+sizes[i]]); got != want {
			t.Errorf("packet %d = %q, want %q", i, got, want)
		}
	}
	if n, err := dev.Read(bufs, sizes, 4); n != 1 || err != nil || sizes[0] != 3 {
		t.Errorf("Read = %d, %v, %d octets; want 1 packet, cut to the 3 octets there is room for", n, err, sizes[0])
	}

	out := []byte("headpayload")
	if n, err := dev.Write([][]byte{out}, 4); n != 1 || err != nil {
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
	bufs := make([][]byte, queue+2)
	n, err := f.Device().Write(bufs, 0)
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
					_, err := f.Device().Read([][]byte{make([]byte, 10)}, make([]int, 1), 0)
					result <- err
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
	if n, err := f.Device().Write([][]byte{{1}}, 0); n != 0 || err != os.ErrClosed {
		t.Errorf("Write after Close = %d, %v; want 0, os.ErrClosed", n, err)
	}
	if err := f.Device().Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
