package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/tunnel/netstack"
	"twinbore/tunnel/simnet"
)

// R31, decision 2: our inside addresses answer, by each tunnel, whichever carries traffic; no host has to have them.
func TestInsideAddressesAnswerPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		var got []netstack.Answer
		pings := left.d.stack.Pings(func(a netstack.Answer) { got = append(got, a) })
		defer pings.Close()
		for i, target := range []string{"169.254.1.1", "169.254.2.1"} {
			peer, addr := "hq/"+string(rune('1'+i)), netip.MustParseAddr(target)
			if err := pings.Send(netstack.Ping{Peer: peer, Target: addr, Seq: 1, Size: 56}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if len(got) != 1 || got[0].Verdict != netstack.Reply || got[0].From != addr || got[0].Peer != peer || got[0].RTT < 20*time.Millisecond || got[0].RTT > 25*time.Millisecond {
				t.Errorf("by %s to %v: %+v, want one reply after 20 ms", peer, addr, got)
			}
			got = nil
		}
		if n := len(left.host.In) + len(right.host.In); n != 0 {
			t.Errorf("the hosts saw %d packets of it", n)
		}
	})
}

// A host of ours may have the inside address as well, as it has beside a kernel: its own pings come back to it.
func TestPingsOfTheHostAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, left, _ := world(t)
		left.want("1: UP UP", 2*time.Second)
		ask := echoRequest(netip.MustParseAddr("169.254.1.2"), netip.MustParseAddr("169.254.1.1"))
		left.host.Out <- ask
		time.Sleep(100 * time.Millisecond)
		select {
		case b := <-left.host.In:
			if len(b) != len(ask) || b[20] != 0 || string(b[24:]) != string(ask[24:]) {
				t.Errorf("asked % x, and the host got % x", ask, b)
			}
		default:
			t.Error("the host got no answer")
		}
	})
}

// echoRequest is one of a program on the host.
func echoRequest(src, dst netip.Addr) []byte {
	b := packet(src, dst, 0)
	b[9], b[10], b[11] = 1, 0, 0
	sum := checksum(b[:20])
	b[10], b[11] = byte(sum>>8), byte(sum)
	copy(b[20:], []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g'})
	resum(b[20:])
	return b
}

// echoReply turns an echo request into its answer.
func echoReply(b []byte) []byte {
	from, to := [4]byte(b[12:16]), [4]byte(b[16:20])
	copy(b[12:16], to[:])
	copy(b[16:20], from[:])
	b[20] = 0
	resum(b[20:])
	return b
}

// icmpError is an ICMP message about a packet.
func icmpError(src, dst netip.Addr, kind, code byte, quote []byte) []byte {
	b := append(packet(src, dst, 0)[:20], kind, code, 0, 0, 0, 0, 0, 0)
	b = append(b, quote...)
	b[3], b[9], b[10], b[11] = byte(len(b)), 1, 0, 0
	sum := checksum(b[:20])
	b[10], b[11] = byte(sum>>8), byte(sum)
	resum(b[20:])
	return b
}

// resum sets the checksum of an ICMP message.
func resum(b []byte) {
	b[2], b[3] = 0, 0
	sum := checksum(b)
	b[2], b[3] = byte(sum>>8), byte(sum)
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}

// Two connections may have one inside network: the tunnel says whose an address is (routing.md decision 2).
func TestTwoConnectionsShareAnInsideNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		l, r := pairs(2, func(_ int, text string) string {
			end := "169.254.1.2/30"
			if strings.Contains(text, "wait") {
				end = "169.254.1.1/30"
			}
			return strings.Replace(text, "      - {", "      - {inside: "+end+", ", 1)
		})
		open(t, net, r, nil)
		left := open(t, net, l, nil)
		left.allUp(4)
		var got []netstack.Answer
		pings := left.d.stack.Pings(func(a netstack.Answer) { got = append(got, a) })
		defer pings.Close()
		for _, peer := range []string{"c1/1", "c2/1"} {
			got = nil
			if err := pings.Send(netstack.Ping{Peer: peer, Target: netip.MustParseAddr("169.254.1.1"), Seq: 1, Size: 56}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if len(got) != 1 || got[0].Verdict != netstack.Reply || got[0].Peer != peer {
				t.Errorf("by %s: %+v, want one reply by the same tunnel", peer, got)
			}
		}
	})
}
