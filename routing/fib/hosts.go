package fib

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Hosts is an immutable set of addresses that counts how often each was added. The zero value is empty. Adding and
// removing return a new set that shares most of the old one, so a reader's copy stays whole while a writer makes the
// next, and one change costs the same among ten addresses and ten thousand.
type Hosts struct {
	t *bart.Table[int]
}

// With returns the set with addr added once more.
func (h Hosts) With(addr netip.Addr) Hosts {
	if !addr.IsValid() {
		return h
	}
	addr = addr.Unmap().WithZone("")
	if h.t == nil {
		h.t = new(bart.Table[int])
	}
	return Hosts{h.t.ModifyPersist(host(addr), func(n int, _ bool) (int, bool) { return n + 1, false })}
}

// Without returns the set with addr added once less; an address that is not in it changes nothing.
func (h Hosts) Without(addr netip.Addr) Hosts {
	if h.t == nil || !addr.IsValid() {
		return h
	}
	addr = addr.Unmap().WithZone("")
	if _, in := h.t.Get(host(addr)); !in {
		return h
	}
	return Hosts{h.t.ModifyPersist(host(addr), func(n int, _ bool) (int, bool) { return n - 1, n <= 1 })}
}

// Contains reports whether addr is in the set. An IPv4 address must not be mapped into IPv6.
func (h Hosts) Contains(addr netip.Addr) bool {
	return h.t != nil && h.t.Contains(addr)
}

func host(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }
