package datapath

import "encoding/binary"

// A fragmenter cuts an IPv4 packet without DF into fragments (RFC 791 §3.2), before they are sealed: the peer then
// reassembles inner fragments at the far end instead of fragments of ESP at its doorstep.
type fragmenter struct {
	pkt    []byte // the whole packet
	header int    // octets of its header
	room   int    // octets of payload in each fragment but the last, a multiple of 8
	done   int    // octets of payload already cut
}

// newFragmenter cuts pkt, whose header has been parsed as p, into pieces of at most mtu octets. It reports false if
// mtu has no room for the header and 8 octets.
func newFragmenter(pkt []byte, p *packet, mtu int) (fragmenter, bool) {
	header := int(pkt[0]&0x0f) * 4
	f := fragmenter{pkt: pkt[:p.length], header: header, room: (mtu - header) &^ 7}
	return f, f.room > 0
}

// next appends the next fragment to dst, or reports false when there is none.
func (f *fragmenter) next(dst []byte) ([]byte, bool) {
	payload := f.pkt[f.header:]
	if f.done >= len(payload) {
		return dst, false
	}
	piece := payload[f.done:min(f.done+f.room, len(payload))]
	at := len(dst)
	dst = append(append(dst, f.pkt[:f.header]...), piece...)
	header := dst[at : at+f.header]
	field := binary.BigEndian.Uint16(header[6:])
	flags, offset := field&^fragmentMask, field&fragmentMask+uint16(f.done/8)
	if f.done+len(piece) < len(payload) {
		flags |= moreFragments
	}
	if f.done > 0 {
		blankOptions(header[ipv4HeaderLen:])
	}
	binary.BigEndian.PutUint16(header[2:], uint16(len(dst)-at))
	binary.BigEndian.PutUint16(header[6:], flags|offset)
	binary.BigEndian.PutUint16(header[10:], 0)
	binary.BigEndian.PutUint16(header[10:], checksum(sum16(0, header)))
	f.done += len(piece)
	return dst, true
}

// blankOptions turns the options that belong in the first fragment alone into no-operations (RFC 791 §3.1: the copied
// flag).
func blankOptions(options []byte) {
	for i := 0; i < len(options); {
		size := 1
		switch kind := options[i]; {
		case kind == optEnd:
			return
		case kind == optNOP:
		case i+1 >= len(options) || options[i+1] < 2 || i+int(options[i+1]) > len(options):
			return
		default:
			size = int(options[i+1])
			if kind&0x80 == 0 {
				for k := range size {
					options[i+k] = optNOP
				}
			}
		}
		i += size
	}
}
