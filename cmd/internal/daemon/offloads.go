package daemon

import (
	"strings"

	"twinbore/config"
	"twinbore/esp/protect/gcm"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/tun"
)

// chooseKernel turns our own AES code on or off for the keys of this process.
func chooseKernel(o config.Offloads) error {
	if o.Allowed(o.AESKernel) {
		return gcm.Select("auto")
	}
	return gcm.Select("none")
}

// offloadsOf names what is in use, in the words of the configuration. An offload that was allowed and is not named is
// one that this system does not have.
func offloadsOf(device tun.Device, sockets []datapath.Socket) string {
	d := device.Offloads()
	gso, gro := true, true
	for _, s := range sockets {
		o := s.Offloads()
		gso, gro = gso && o.GSO, gro && o.GRO
	}
	var names []string
	for _, o := range []struct {
		name string
		on   bool
	}{{"tun_tso", d.TSO}, {"tun_uso", d.USO}, {"udp_gso", gso}, {"udp_gro", gro}, {"aes_kernel", gcm.Selected() != "none"}} {
		if o.on {
			names = append(names, o.name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, " ")
}
