package fib

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func build(t testing.TB, entries ...Entry) *Table {
	t.Helper()
	table, err := Build(entries)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestLookupTakesTheLongestPrefix(t *testing.T) { // R33
	table := build(t,
		Entry{prefix("0.0.0.0/0"), 0, Active},
		Entry{prefix("10.0.0.0/8"), 1, Active},
		Entry{prefix("10.1.0.0/16"), 2, Active},
		Entry{prefix("10.1.2.3/32"), 2, 1},
		Entry{prefix("2001:db8::/32"), 3, Active},
	)
	for _, tt := range []struct {
		addr         string
		conn, tunnel int
	}{
		{"192.0.2.1", 0, Active},
		{"10.255.0.1", 1, Active},
		{"10.1.255.255", 2, Active},
		{"10.1.2.3", 2, 1},
		{"2001:db8:ffff::1", 3, Active},
	} {
		e, ok := table.Lookup(addr(tt.addr))
		if !ok || e.Conn != tt.conn || e.Tunnel != tt.tunnel {
			t.Errorf("Lookup(%s) = %+v, %v; want connection %d, tunnel %d", tt.addr, e, ok, tt.conn, tt.tunnel)
		}
	}
}

func TestNoRouteMeansNoEntry(t *testing.T) { // R34
	table := build(t, Entry{prefix("10.1.0.0/16"), 0, Active})
	for _, a := range []netip.Addr{addr("10.2.0.1"), addr("2001:db8::1"), addr("::ffff:10.1.0.1"), {}} {
		if e, ok := table.Lookup(a); ok {
			t.Errorf("Lookup(%v) = %+v, want nothing", a, e)
		}
	}
	if _, ok := build(t).Lookup(addr("10.1.0.1")); ok {
		t.Error("an empty table has an answer")
	}
}

func TestEqualPrefixesConflict(t *testing.T) { // R33
	_, err := Build([]Entry{{prefix("10.1.0.0/16"), 0, Active}, {prefix("10.1.0.0/16"), 4, Active}})
	var conflict *ConflictError
	if !errors.As(err, &conflict) || conflict.Have.Conn != 0 || conflict.New.Conn != 4 {
		t.Fatalf("Build = %v, want a conflict between 0 and 4", err)
	}
}

func TestBuildRefusesBadPrefixes(t *testing.T) {
	for _, p := range []netip.Prefix{{}, netip.PrefixFrom(addr("10.1.2.3"), 16), netip.PrefixFrom(addr("::ffff:10.0.0.0"), 104)} {
		if _, err := Build([]Entry{{Prefix: p}}); err == nil {
			t.Errorf("Build took %v", p)
		}
	}
}

// The table agrees with a search through the list, whatever the prefixes are.
func TestLookupAgreesWithBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(rng.IntN(4)), byte(rng.IntN(4)), byte(rng.IntN(256))})
	}
	var entries []Entry
	seen := map[netip.Prefix]bool{}
	for i := range 300 {
		p := netip.PrefixFrom(random(), 8+rng.IntN(25)).Masked()
		if !seen[p] {
			seen[p] = true
			entries = append(entries, Entry{p, i, Active})
		}
	}
	table := build(t, entries...)
	for range 5000 {
		a := random()
		var want Entry
		found := false
		for _, e := range entries {
			if e.Prefix.Contains(a) && (!found || e.Prefix.Bits() > want.Prefix.Bits()) {
				want, found = e, true
			}
		}
		if got, ok := table.Lookup(a); ok != found || got != want {
			t.Fatalf("Lookup(%v) = %+v, %v; want %+v, %v", a, got, ok, want, found)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table := build(t, Entry{prefix("10.0.0.0/8"), 0, Active}, Entry{prefix("2001:db8::/32"), 1, Active})
	hosts := Hosts{}.With(addr("192.0.2.1"))
	a4, a6 := addr("10.1.2.3"), addr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() {
		table.Lookup(a4)
		table.Lookup(a6)
		hosts.Contains(a4)
	}); n != 0 {
		t.Errorf("lookups allocate %v times", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"1", 1}, {"10k", 10_000}, {"100k", 100_000}} {
		b.Run(size.name, func(b *testing.B) {
			entries := make([]Entry, size.n)
			for i := range entries {
				entries[i] = Entry{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), i, Active}
			}
			table := build(b, entries...)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i = (i + 7919) % size.n
				if _, ok := table.Lookup(entries[i].Prefix.Addr()); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}

// Networks as sites have them, one in four of IPv6, looked up by an address somewhere inside.
func BenchmarkLookupNetworks(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"1", 1}, {"10k", 10_000}, {"100k", 100_000}} {
		b.Run(size.name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, uint64(size.n)))
			seen := map[netip.Prefix]bool{}
			var entries []Entry
			var inside []netip.Addr
			for len(entries) < size.n {
				var raw [16]byte
				binary.BigEndian.PutUint64(raw[:], random.Uint64())
				a, bits := netip.AddrFrom4([4]byte(raw[:])), 16+random.IntN(9)
				if random.IntN(4) == 0 {
					raw[0], raw[1] = 0x20, 0x01
					a, bits = netip.AddrFrom16(raw), 40+random.IntN(17)
				}
				p, _ := a.Prefix(bits)
				if !seen[p] {
					seen[p] = true
					entries, inside = append(entries, Entry{p, len(entries), Active}), append(inside, a)
				}
			}
			table := build(b, entries...)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i = (i + 7919) % size.n
				if _, ok := table.Lookup(inside[i]); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}
