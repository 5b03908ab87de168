package daemon

import (
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/netstack"
)

// say lets the stack's packets out: it is made before the data path, and sends nothing before that runs.
func (d *Daemon) say(peer string, packet []byte) error { return d.gateway.Send(peer, packet) }

// sayWhole is say for what measures the path.
func (d *Daemon) sayWhole(peer string, packet []byte) error { return d.gateway.SendWhole(peer, packet) }

// room is how large its packets may be.
func (d *Daemon) room(peer string) int { return d.gateway.MTU(peer) }

// voices are the tunnels of connections as the stack knows them.
func voices(conns []datapath.Connection) []netstack.Tunnel {
	var out []netstack.Tunnel
	for _, c := range conns {
		for _, t := range c.Tunnels {
			out = append(out, netstack.Tunnel{Peer: c.Name + "/" + t.Name, Inside: t.Inside})
		}
	}
	return out
}
