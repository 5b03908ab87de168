package datapath

import (
	"twinbore/esp"
	"twinbore/tunnel/transport"
)

// keepalive sends a NAT keepalive on each path of a Child SA by which nothing has left for the configured time
// (RFC 3948 §4), so that a NAT on the way keeps its mapping. Without a NAT it is one octet in vain; without UDP there is none.
func (g *Gateway) keepalive(now int64) {
	last := map[esp.Path]int64{}
	lanes := map[esp.Path]*lane{}
	g.mu.Lock()
	for _, t := range g.peers {
		for _, c := range t.children {
			l := c.lane.Load()
			if l.bare() {
				continue
			}
			last[l.path] = max(last[l.path], c.lastOut.Load())
			lanes[l.path] = l
		}
	}
	for _, t := range g.peers {
		for _, c := range t.children {
			if at, ok := last[c.lane.Load().path]; ok && now-at >= int64(g.cfg.Keepalive) {
				c.lastOut.Store(now)
			}
		}
	}
	g.mu.Unlock()
	for path, at := range last {
		if now-at < int64(g.cfg.Keepalive) {
			continue
		}
		one := []transport.Message{{Buf: []byte{transport.KeepaliveOctet}, N: 1, Path: path}}
		if _, err := lanes[path].sock.of(0).Write(one); err == nil {
			g.stats.keepalives.Add(1)
		}
	}
}
