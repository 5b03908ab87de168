package transport

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// zones turns the zones of IPv6 link-local addresses (RFC 4007 §6) into interface indexes and back. An answer is
// kept: an index is never used again for another interface while the system runs, and a name that has changed still
// leads to the index it came from.
type zones struct {
	mu    sync.Mutex // guards both maps
	names map[uint32]string
	ids   map[string]uint32
}

// add returns a with the zone of the interface of this index.
func (z *zones) add(a netip.Addr, index uint32) netip.Addr {
	z.mu.Lock()
	defer z.mu.Unlock()
	name, ok := z.names[index]
	if !ok {
		name = strconv.FormatUint(uint64(index), 10)
		if ifi, err := net.InterfaceByIndex(int(index)); err == nil {
			name = ifi.Name
		}
		z.keep(index, name)
	}
	return a.WithZone(name)
}

// index returns the interface index of a's zone, 0 if a has none or the interface is unknown.
func (z *zones) index(a netip.Addr) uint32 {
	name := a.Zone()
	if name == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if id, ok := z.ids[name]; ok {
		return id
	}
	if ifi, err := net.InterfaceByName(name); err == nil {
		z.keep(uint32(ifi.Index), name)
		return uint32(ifi.Index)
	}
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(id)
	}
	return 0
}

func (z *zones) keep(index uint32, name string) {
	if z.names == nil {
		z.names, z.ids = make(map[uint32]string), make(map[string]uint32)
	}
	z.names[index], z.ids[name] = name, index
}
