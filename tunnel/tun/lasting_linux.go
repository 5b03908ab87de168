package tun

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// How long a device that is gone and cannot be made again is left alone, the first time and at most.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// errAway is what Write returns while there is no device: what it was given is lost.
var errAway = errors.New("the TUN device was deleted and is not there again yet")

// OpenLasting is OpenQueues for a device that comes back: when another program deletes it, the queue that is read first makes it
// again, under the same name, and goes on; Read and Poll never return ErrGone. Until then what is written is lost. The new device has no address, no
// route, and is down. told is called with the error each time the device cannot be made again for another reason than before,
// and with nil when it is there again; it must not block.
func OpenLasting(cfg Config, n int, told func(error)) ([]Device, error) {
	devs, err := OpenQueues(cfg, n)
	if err != nil {
		return nil, err
	}
	cfg.Name = devs[0].Name()
	s := &stand{told: told, ended: make(chan struct{}), open: func() ([]Device, error) { return OpenQueues(cfg, len(devs)) }}
	out := make([]Device, len(devs))
	for i := range devs {
		q := &lasting{stand: s}
		q.dev.Store(&devs[i])
		s.queues = append(s.queues, q)
		out[i] = q
	}
	return out, nil
}

// A stand is where a device stands, whichever it is at the time.
type stand struct {
	open  func() ([]Device, error) // as many queues as before
	told  func(error)
	end   sync.Once
	ended chan struct{} // closed by the first Close

	mu     sync.Mutex // one change at a time; guards what queues hold
	queues []*lasting
	before atomic.Uint64 // lost by devices that are gone
	last   atomic.Uint64 // lost by all, as last told
}

// A lasting is one queue.
type lasting struct {
	*stand
	dev atomic.Pointer[Device]
}

func (q *lasting) now() Device { return *q.dev.Load() }

func (q *lasting) Read(f *Frame) error {
	for {
		dev := q.now()
		err := dev.Read(f)
		if !errors.Is(err, ErrGone) {
			return err
		}
		if err := q.renew(dev); err != nil {
			return err
		}
	}
}

func (q *lasting) Poll(f *Frame) (bool, error) {
	dev := q.now()
	got, err := dev.Poll(f)
	if errors.Is(err, ErrGone) {
		err = q.renew(dev)
	}
	return got, err
}

func (q *lasting) Write(fs []Frame) (int, error) {
	n, err := q.now().Write(fs)
	if errors.Is(err, ErrGone) {
		err = errAway
	}
	return n, err
}

func (q *lasting) Offloads() Offloads { return q.now().Offloads() }

func (q *lasting) Lost() uint64 {
	n := q.before.Load() + q.now().Lost()
	q.last.Store(n)
	return n
}

func (q *lasting) MTU() int { return q.now().MTU() }

func (q *lasting) Name() string { return q.now().Name() }

func (q *lasting) Close() error {
	q.end.Do(func() { close(q.ended) })
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.now().Close()
}

// renew makes the device again in place of the one that is gone, unless another queue has done so. Its error is os.ErrClosed.
func (q *lasting) renew(gone Device) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.now() != gone {
		return nil
	}
	for _, other := range q.queues {
		other.now().Close() // it is of the same device
	}
	said := ""
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		select {
		case <-q.ended:
			return os.ErrClosed
		default:
		}
		devs, err := q.open()
		if err == nil && len(devs) != len(q.queues) {
			for _, d := range devs {
				d.Close()
			}
			err = fmt.Errorf("TUN device %q: another program has made it meanwhile", gone.Name())
		}
		if err == nil {
			q.before.Store(q.last.Load())
			for i, other := range q.queues {
				other.dev.Store(&devs[i])
			}
			q.told(nil)
			return nil
		}
		if err.Error() != said {
			said = err.Error()
			q.told(err)
		}
		select {
		case <-q.ended:
			return os.ErrClosed
		case <-time.After(pause):
		}
	}
}
