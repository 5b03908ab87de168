package datapath

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"twinbore/esp"
)

func newSAD(t testing.TB, secret ...byte) *sad {
	t.Helper()
	s := new(sad)
	if err := s.init(io.MultiReader(bytes.NewReader(secret), rand.Reader), 1); err != nil {
		t.Fatal(err)
	}
	return s
}

// put reserves an SPI and installs a child under it.
func put(t testing.TB, s *sad) *child {
	t.Helper()
	c := &child{id: esp.ChildID(s.alloc())}
	if !s.put(c) {
		t.Fatalf("SPI %v is not taken", c.id)
	}
	return c
}

func TestSPIsLeadToTheirChildren(t *testing.T) {
	s := newSAD(t)
	var children []*child
	seen := map[esp.ChildID]bool{}
	for range 1000 { // the table grows four times
		c := put(t, s)
		if c.id < firstSPI || seen[c.id] {
			t.Fatalf("SPI %v is reserved or was given out twice", c.id)
		}
		seen[c.id] = true
		children = append(children, c)
	}
	for _, c := range children {
		if s.lookup(uint32(c.id)) != c {
			t.Fatalf("SPI %v leads elsewhere", c.id)
		}
	}
}

func TestNeighboursOfAnSPILeadNowhere(t *testing.T) { // ESP-04
	s := newSAD(t)
	c := put(t, s)
	reserved := s.alloc()
	for _, spi := range []uint32{0, 1, 255, reserved, uint32(c.id) ^ 1<<31, uint32(c.id) ^ 1<<indexBits, uint32(c.id) ^ 1, ^uint32(c.id)} {
		if got := s.lookup(spi); got != nil {
			t.Errorf("SPI %#x leads to %v", spi, got.id)
		}
	}
}

func TestReservedValuesAreNeverGivenOut(t *testing.T) { // CRY-12, RFC 4303 §2.1
	// With this secret and generation 0 the first 256 slots would have the SPIs 0 to 255.
	s := new(sad)
	if err := s.init(zeros{}, 1); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if spi := s.alloc(); spi < firstSPI {
			t.Fatalf("SPI %d was given out", spi)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestAGivenBackSPIIsNotUsedAgainSoon(t *testing.T) {
	s := newSAD(t)
	first := s.alloc()
	s.take(first)
	for range 1000 {
		spi := s.alloc()
		if spi == first {
			t.Fatal("the SPI came back")
		}
		s.take(spi)
	}
	if n := len(*s.slots.Load()); n != 64 {
		t.Errorf("the table has %d slots for one SA at a time", n)
	}
}

func TestOnlyReservedSPIsAreInstalled(t *testing.T) {
	s := newSAD(t)
	c := put(t, s)
	if s.put(c) {
		t.Error("an SPI was installed twice")
	}
	if s.put(&child{id: c.id ^ 1<<indexBits}) || s.put(&child{id: 0}) || s.put(&child{id: ^c.id}) {
		t.Error("an SPI that nobody reserved was installed")
	}
	if s.take(uint32(c.id)) != c || s.take(uint32(c.id)) != nil || s.lookup(uint32(c.id)) != nil {
		t.Error("what was taken out is still there")
	}
	if s.put(c) {
		t.Error("an SPI that was given back was installed")
	}
}

func TestNoRandomnessNoSPI(t *testing.T) {
	broken := errors.New("broken")
	if err := new(sad).init(iotest.ErrReader(broken), 1); !errors.Is(err, broken) {
		t.Errorf("init = %v", err)
	}
	s := newSAD(t)
	s.rand = iotest.ErrReader(broken)
	if spi := s.alloc(); spi != 0 {
		t.Errorf("SPI %#x out of nothing", spi)
	}
}

func TestLookupsGoOnWhileTheTableChanges(t *testing.T) {
	s := newSAD(t)
	fixed := put(t, s)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if s.lookup(uint32(fixed.id)) != fixed {
					t.Error("a child was lost while others came and went")
					return
				}
			}
		})
	}
	var others []*child
	for range 500 {
		others = append(others, put(t, s))
	}
	for _, c := range others {
		s.take(uint32(c.id))
	}
	close(done)
	readers.Wait()
}

func BenchmarkSPILookup(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"1", 1}, {"10k", 10_000}, {"1M", 1_000_000}} {
		b.Run(size.name, func(b *testing.B) {
			s := newSAD(b)
			spis, children := make([]uint32, size.n), make([]child, size.n)
			for i := range spis {
				spis[i] = s.alloc()
				if children[i].id = esp.ChildID(spis[i]); !s.put(&children[i]) {
					b.Fatal("no room")
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i = (i + 7919) % size.n
				if s.lookup(spis[i]) == nil {
					b.Fatal("lost")
				}
			}
		})
	}
}
