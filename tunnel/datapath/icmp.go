package datapath

import (
	"encoding/binary"
)

const (
	icmpHeaderLen   = 8
	maxICMPv4       = 576 // octets of an ICMP error, RFC 1812 §4.3.2.3
	icmpTTL         = 64
	icmpUnreachable = 3 // RFC 792
	icmpFragNeeded  = 4 // RFC 1191 §4
	icmp6TooBig     = 2 // RFC 4443 §3.2
)

// mayAnswer reports whether an ICMP error about p may be sent at all (RFC 1122 §3.2.2, RFC 4443 §2.4): never about an ICMP
// error, a later fragment, or something that is not from one host to one host.
func (p *packet) mayAnswer() bool {
	_, isError := p.isICMPError()
	return !isError && !p.later && !martian(p.src) && !p.dst.IsMulticast()
}

// tooBigAnswer appends to dst the ICMP error that tells the sender of the packet b that no more than mtu octets go
// through (RFC 1191, RFC 8201). Its source is the packet's destination: a router's own address would be right, but
// Linux drops packets that come out of a device with one of the host's addresses as source, and
// the destination is what the host routes into this device.
func tooBigAnswer(dst, b []byte, p *packet, mtu int) []byte {
	if p.src.Is4() {
		return fragNeeded(dst, b, p, mtu)
	}
	quote := b[:min(p.length, minIPv6MTU-ipv6HeaderLen-icmpHeaderLen)]
	at := len(dst)
	dst = append(dst, 0x60, 0, 0, 0, 0, 0, protoICMPv6, icmpTTL)
	src, to := p.dst.As16(), p.src.As16()
	dst = append(append(dst, src[:]...), to[:]...)
	dst = append(dst, icmp6TooBig, 0, 0, 0)
	dst = append(binary.BigEndian.AppendUint32(dst, uint32(mtu)), quote...)
	body := dst[at+ipv6HeaderLen:]
	binary.BigEndian.PutUint16(dst[at+4:], uint16(len(body)))
	binary.BigEndian.PutUint16(body[2:], checksum(sum16(pseudoHeader6(p.dst, p.src, protoICMPv6, len(body)), body)))
	return dst
}

func fragNeeded(dst, b []byte, p *packet, mtu int) []byte {
	quote := b[:min(p.length, maxICMPv4-ipv4HeaderLen-icmpHeaderLen)]
	at := len(dst)
	dst = append(dst, 0x45, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(ipv4HeaderLen+icmpHeaderLen+len(quote)))
	dst = append(dst, 0, 0, 0, 0, icmpTTL, protoICMP, 0, 0)
	src, to := p.dst.As4(), p.src.As4()
	dst = append(append(dst, src[:]...), to[:]...)
	header := dst[at:]
	binary.BigEndian.PutUint16(header[10:], checksum(sum16(0, header)))
	dst = append(dst, icmpUnreachable, icmpFragNeeded, 0, 0, 0, 0)
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(mtu)), quote...)
	body := dst[at+ipv4HeaderLen:]
	binary.BigEndian.PutUint16(body[2:], checksum(sum16(0, body)))
	return dst
}

// A bucket limits how often something happens. It belongs to one goroutine.
type bucket struct {
	perSecond, burst int64
	left             int64 // in billionths of one
	at               int64 // unix nanoseconds
}

// take reports whether it may happen now, in unix nanoseconds.
func (k *bucket) take(now int64) bool {
	const one = 1e9
	full := k.burst * one
	if k.at == 0 || now-k.at > full/k.perSecond {
		k.left = full
	} else if now > k.at {
		k.left = min(full, k.left+(now-k.at)*k.perSecond)
	}
	k.at = now
	if k.left < one {
		return false
	}
	k.left -= one
	return true
}
