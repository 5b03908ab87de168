package daemon

import (
	"net/netip"
	"testing"

	"twinbore/esp/protect/gcm"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
	"twinbore/tunnel/tun/tuntest"
)

// Each switch of datapath.offloads reaches what it switches.
func TestOffloadsAreSwitchedOneByOne(t *testing.T) {
	t.Cleanup(func() { gcm.Select("auto") })
	own := ""
	if len(gcm.Kernels()) > 0 {
		own = " aes_kernel"
	}
	for text, want := range map[string]string{
		"auto":              "udp_gso udp_gro" + own,
		"none":              "none",
		"{udp_gso: off}":    "udp_gro" + own,
		"{udp_gro: off}":    "udp_gso" + own,
		"{aes_kernel: off}": "udp_gso udp_gro",
		"{tun_tso: on}":     "udp_gso udp_gro" + own, // the device in memory has none
		"{tun_tso: off, udp_gso: off, udp_gro: off, tun_uso: off, aes_kernel: off}": "none",
	} {
		cfg := load(t, "outside: {address: 127.0.0.1, ike_port: 50000, natt_port: 54500}, datapath: {offloads: "+text+"}", "")
		var opened cleanup
		listen := func(c transport.Config) (transport.Socket, error) {
			c.Addr = netip.AddrPortFrom(c.Addr.Addr(), 0)
			return transport.Listen(c)
		}
		sockets, err := openOutside(cfg.Gateway, cfg.Connections, Options{Listen: listen}, &opened)
		if err != nil {
			t.Fatal(err)
		}
		if err := chooseKernel(cfg.Gateway.Datapath.Offloads); err != nil {
			t.Fatal(err)
		}
		if got := offloadsOf(tuntest.New(1400).Device(), sockets); got != want {
			t.Errorf("%s: in use are %s, want %s", text, got, want)
		}
		opened.close()
	}
	device := tuntest.New(1400)
	device.Offload(tun.Offloads{TSO: true, USO: true})
	gcm.Select("none")
	if got := offloadsOf(device.Device(), []datapath.Socket{}); got != "tun_tso tun_uso udp_gso udp_gro" {
		t.Errorf("in use are %s", got)
	}
}
