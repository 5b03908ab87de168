// Package transport carries IKE and ESP over UDP sockets, and tells the two apart (RFC 3948); and ESP by itself, as
// IP protocol 50, over raw sockets.
//
//	 port 500        port 4500 (or the port chosen for NAT traversal)        IP protocol 50
//	    │                        │                                                │
//	recvmmsg ─────────────── Socket.Read ──────────────────────────────────── recvmmsg
//	                             │ []Message: octets, and the outer addresses they came over
//	                   Classify(use, Buf[:N])
//	   ┌───────────────┬─────────┴──────┬───────────────┐
//	Keepalive         IKE              ESP          Malformed
//	0xFF alone   marker removed   SPI is first    dropped, counted
//
// A Socket is bound to one address of one family. The daemon opens two for each family, the IKE port and the NAT
// traversal port, and one of IP protocol 50 where that is wanted and allowed. A socket that is bound to the unspecified address still knows the local address of each datagram
// and sends from the address it is told to, by IP_PKTINFO and IPV6_PKTINFO.
//
// Who owns what: one goroutine reads a socket; any number may write to it. The buffers belong to the caller and are
// lent for the time of the call. Nothing is allocated per datagram.
//
// A group is several sockets on one address and port, one for each worker (group_linux.go). The kernel gives each ESP packet
// to the socket that its SPI names, so that the packets of an SA meet in one place; nothing depends on it.
//
// A datagram that cannot be sent is lost, as if the network had lost it: no route, a firewall, a packet too large.
// No such error ends a socket or a security association. The network heals, and both IKE and what runs inside the
// tunnel send again.
//
// Fragmentation: outer packets leave without DF, and the kernel fragments what is larger than the link's MTU. So a
// large IKE message goes through, and ESP that was sized too optimistically arrives in pieces instead of vanishing.
// The data path sizes inner packets such that this stays the exception, by what RouteMTU says. With IPv4 ICMP
// "fragmentation needed" is not listened to: no router has a reason to send it, and anybody can.
//
// A run of datagrams of one size to one place is one message, one header in the kernel and one walk through its
// network, both ways (UDP_SEGMENT, UDP_GRO): at 64 KB this is worth more than all else. What the kernel will not cut is
// cut here (gso_linux.go), so that a run is never lost for an offload; datagrams without a UDP checksum, which Linux's own
// ESP sends, come one by one whatever the socket asks for. So does all ESP without UDP: the kernel has no such runs for it, and
// it is less than half as fast.
//
// Start reading with socket.go for the words, classify.go for RFC 3948, udp_linux.go for the socket itself, and esp_linux.go
// for what is different without UDP.
package transport
