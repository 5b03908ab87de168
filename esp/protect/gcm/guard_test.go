//go:build linux

package gcm

import (
	"bytes"
	"os"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"
)

// A guarded page of memory is one between two that cannot be touched.
type guarded struct{ page []byte }

func newGuarded(t *testing.T) guarded {
	t.Helper()
	size := os.Getpagesize()
	all, err := syscall.Mmap(-1, 0, 3*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(all); err != nil {
			t.Error(err)
		}
	})
	for _, side := range [][]byte{all[:size], all[2*size:]} {
		if err := syscall.Mprotect(side, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return guarded{all[size : 2*size]}
}

// put copies b to one end of the page.
func (g guarded) put(b []byte, atEnd bool) []byte {
	at := g.page[:len(b):len(b)]
	if atEnd {
		at = g.page[len(g.page)-len(b):]
	}
	copy(at, b)
	return at
}

// key copies k, which has no pointers, to one end of the page.
func (g guarded) key(k *Key, atEnd bool) *Key {
	at := g.put(make([]byte, unsafe.Sizeof(Key{})), atEnd)
	moved := (*Key)(unsafe.Pointer(&at[0]))
	*moved = *k
	return moved
}

// readOnly makes the page so and returns what makes it writable again.
func (g guarded) readOnly(t *testing.T) func() {
	t.Helper()
	protect := func(to int) {
		if err := syscall.Mprotect(g.page, to); err != nil {
			t.Fatal(err)
		}
	}
	protect(syscall.PROT_READ)
	return func() { protect(syscall.PROT_READ | syscall.PROT_WRITE) }
}

// TestNothingBeyondTheBuffersIsTouched puts each buffer at both ends of a page between forbidden ones, and the input into
// memory that cannot be written: an octet more, read or written, is a fault.
func TestNothingBeyondTheBuffersIsTouched(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	const longest = 4*64 + 4*64 + 130 // two batches of the widest kernel, and some
	in, out, small, keys := newGuarded(t), newGuarded(t), newGuarded(t), newGuarded(t)
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		for _, keyLen := range []int{16, 32} {
			p := newPair(t, kernel, keyLen)
			for _, atEnd := range []bool{false, true} {
				p.Key = keys.key(p.Key, atEnd)
				for n := range longest {
					p.guard(t, random(n), in, out, small, atEnd)
				}
			}
		}
	})
}

// guard seals and opens text with every buffer at one end of its page.
func (p *pair) guard(t *testing.T, text []byte, in, out, small guarded, atEnd bool) {
	t.Helper()
	n := len(text)
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%s, %d octets, at the end of a page %v: %v", p.kernel, n, atEnd, r)
		}
	}()
	head := small.put(append(random(8), p.iv...), atEnd)
	aad, iv := head[:8], head[8:]
	want := p.std.Seal(nil, p.nonce, text, aad)

	from := in.put(text, atEnd)
	writable := in.readOnly(t)
	if got := p.Seal(out.put(make([]byte, n+TagLen), atEnd)[:0], iv, from, aad); !bytes.Equal(got, want) {
		t.Fatalf("%d octets: sealed\n got %x\nwant %x", n, got, want)
	}
	writable()

	from = in.put(want, atEnd)
	writable = in.readOnly(t)
	if got, ok := p.Open(out.put(make([]byte, n), atEnd)[:0], iv, from, aad); !ok || !bytes.Equal(got, text) {
		t.Fatalf("%d octets: opened %x, %v", n, got, ok)
	}
	writable()

	place := out.put(append(text[:n:n], make([]byte, TagLen)...), atEnd)
	if got := p.Seal(place[:0], iv, place[:n], aad); !bytes.Equal(got, want) {
		t.Fatalf("%d octets: sealed in place\n got %x\nwant %x", n, got, want)
	}
	if got, ok := p.Open(place[:0], iv, place, aad); !ok || !bytes.Equal(got, text) {
		t.Fatalf("%d octets: opened in place %x, %v", n, got, ok)
	}
}

// TestGuardsHold shows that the pages of the test above would have told.
func TestGuardsHold(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	g := newGuarded(t)
	first, last := unsafe.Pointer(&g.page[0]), unsafe.Pointer(&g.page[len(g.page)-1])
	touch := func(at unsafe.Pointer) (fault bool) {
		defer func() { fault = recover() != nil }()
		*(*byte)(at)++
		return false
	}
	for name, c := range map[string]struct {
		at    unsafe.Pointer
		fault bool
	}{
		"before the page": {unsafe.Add(first, -1), true},
		"first octet":     {first, false},
		"last octet":      {last, false},
		"behind the page": {unsafe.Add(last, 1), true},
	} {
		if got := touch(c.at); got != c.fault {
			t.Errorf("%s: fault is %v, want %v", name, got, c.fault)
		}
	}
	writable := g.readOnly(t)
	if !touch(first) {
		t.Error("a page that is only to be read can be written")
	}
	writable()
	if touch(first) {
		t.Error("the page cannot be written again")
	}
}
