package datapath

import (
	"net"
	"slices"
	"testing"

	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
)

// A script is a socket that fills as many messages as it can with so many octets each, and tells how many it was offered.
type script struct {
	sinkSocket
	sizes   []int // of the messages of each Read
	offered []int
}

func (s *script) Read(ms []transport.Message) (int, error) {
	s.offered = append(s.offered, len(ms))
	if len(s.sizes) == 0 {
		return 0, net.ErrClosed
	}
	for i := range ms {
		ms[i].N, ms[i].Stride = s.sizes[0], min(s.sizes[0], 1472)
		clear(ms[i].Buf[:4])
	}
	s.sizes = s.sizes[1:]
	return len(ms), nil
}

// Where the kernel puts no datagrams together, as for a peer that leaves UDP checksums out, many are read at once; where it
// does, few, so that they stay in the cache; and each time anew.
func TestReadsFollowTheSizeOfMessages(t *testing.T) {
	b := newBench(t, protect.AES128GCM16)
	from := &script{sinkSocket: sinkSocket{b.sink}, sizes: []int{1472, 100, 64768, 64768, 1472, 1472}}
	s := &socket{group: []transport.Socket{from}, use: transport.ForNATT}
	b.g.inbound(s, 0)
	if want := []int{64, 64, 64, 4, 4, 64, 64}; !slices.Equal(from.offered, want) {
		t.Errorf("Read was offered %v messages, want %v", from.offered, want)
	}
}
