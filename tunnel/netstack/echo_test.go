package netstack

import (
	"bytes"
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// A peer that asks without end gets as many answers as anybody needs, and those of other tunnels get theirs (DOS-15).
func TestEchoAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, ours)
		ask := newEcho(addr(theirs), addr(ours), 1, 1, make([]byte, 56))
		flood := func(n int) int {
			for range n {
				if !w.stack.Control("hq/1", bytes.Clone(ask)) {
					t.Fatal("a request to our inside address was left to the host")
				}
			}
			return len(w.took())
		}
		if got := flood(1000); got != echoesAtOnce {
			t.Errorf("%d answers at once, want %d", got, echoesAtOnce)
		}
		if w.stack.Control("other/1", bytes.Clone(ask)); len(w.took()) != 1 {
			t.Error("another tunnel's request was not answered")
		}
		answered := 0
		for range 1000 {
			time.Sleep(time.Millisecond)
			answered += flood(3)
		}
		if answered != echoesPerSecond {
			t.Errorf("%d answers in a second, want %d", answered, echoesPerSecond)
		}
		dropped := uint64(1000 - echoesAtOnce + 3000 - answered)
		w.down = true
		time.Sleep(time.Second)
		flood(1)
		if got, want := w.stack.Drops("hq/1"), map[string]uint64{"echo_rate": dropped, "echo_unsent": 1}; !maps.Equal(got, want) {
			t.Errorf("dropped %v, want %v", got, want)
		}
	})
}

func TestWhatIsNotForTheStackIsLeftToTheHost(t *testing.T) {
	w := newWire(t, ours)
	ask := newEcho(addr(theirs), addr(ours), 1, 1, make([]byte, 56))
	for name, x := range map[string]struct {
		peer string
		b    []byte
	}{
		"another address":      {"hq/1", newEcho(addr(theirs), addr("10.1.0.1"), 1, 1, nil)},
		"an unknown tunnel":    {"hq/9", ask},
		"no inside address":    {"plain/1", ask},
		"somebody's answer":    {"hq/1", icmpError(theirs, ours, 0, 0, [4]byte{1, 2, 3, 4}, nil)},
		"another ICMP message": {"hq/1", icmpError(theirs, ours, 13, 0, [4]byte{}, make([]byte, 12))},
		"an error about more":  {"hq/1", icmpError(theirs, ours, 3, 1, [4]byte{}, []byte("not a packet at all, but as long as one"))},
		"an empty error":       {"hq/1", icmpError(theirs, ours, 3, 1, [4]byte{}, nil)},
		"bad checksum":         {"hq/1", append(bytes.Clone(ask), 1)},
		"nothing":              {"hq/1", nil},
	} {
		b := bytes.Clone(x.b)
		if w.stack.Control(x.peer, b) || !bytes.Equal(b, x.b) {
			t.Errorf("%s: taken, or changed", name)
		}
	}
	if got := w.took(); len(got) != 0 {
		t.Errorf("answered %x", got)
	}
}

// Whatever comes out of a tunnel: no panic, and what leaves is a whole packet from the address that was asked.
func FuzzControl(f *testing.F) {
	f.Add(newEcho(addr(theirs), addr(ours), 1, 1, make([]byte, 56)))
	f.Add(newEcho(addr(theirs6), addr(ours6), 1, 1, make([]byte, 9)))
	f.Add(icmpError(theirs, ours, 3, 4, [4]byte{0, 0, 5, 0}, newEcho(addr(ours), addr(theirs), 1, 1, nil)))
	f.Add(icmpError(theirs6, ours6, 2, 0, [4]byte{0, 0, 5, 0}, newEcho(addr(ours6), addr(theirs6), 1, 1, nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, inside := range []string{ours, ours6} {
			w := newWire(t, inside)
			p, _ := w.collect()
			if err := p.Send(Ping{Peer: "hq/1", Target: addr(map[string]string{ours: theirs, ours6: theirs6}[inside])}); err != nil {
				t.Fatal(err)
			}
			w.took()
			kept := bytes.Clone(b)
			taken := w.stack.Control("hq/1", b)
			if !taken && !bytes.Equal(b, kept) {
				t.Error("changed what it did not take")
			}
			for _, out := range w.took() {
				if m, ok := parse(out.b); !ok || m.src != addr(inside) || len(out.b) != len(kept) {
					t.Errorf("answered % x with % x", kept, out.b)
				}
			}
		}
	})
}
