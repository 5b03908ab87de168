package daemon

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"twinbore/tunnel/transport"
)

func TestWorkersFollowTheCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	memory := Options{Listen: transport.Listen}
	for _, tt := range []struct {
		cores           int
		gateway         string
		opts            Options
		workers, queues int
	}{
		{1, "", Options{}, 1, 1},
		{2, "", Options{}, 1, 1},
		{3, "", Options{}, 3, 3},
		{16, "datapath: {workers: auto, tun: {queues: auto}}", Options{}, 16, 16},
		{2, "datapath: {workers: 2}", Options{}, 2, 2},
		{8, "datapath: {workers: 4, tun: {queues: 2}}", Options{}, 4, 2},
		{8, "datapath: {tun: {queues: 1}}", Options{}, 8, 1},
		{8, "", memory, 1, 1},
	} {
		runtime.GOMAXPROCS(tt.cores)
		n, queues := workers(load(t, tt.gateway, "").Gateway.Datapath, tt.opts)
		if n != tt.workers || queues != tt.queues {
			t.Errorf("%d cores, %q: %d workers and %d queues, want %d and %d", tt.cores, tt.gateway, n, queues, tt.workers, tt.queues)
		}
	}
}

// On the port that ESP comes to each worker has a socket of its own; IKE alone has one.
func TestEachWorkerHasASocket(t *testing.T) {
	here := fmt.Sprintf("127.%d.%d.1", os.Getpid()>>8&0x7f, os.Getpid()&0xff) // another process may run the same test
	cfg := load(t, "outside: {address: "+here+", ike_port: 50500, natt_port: 54501}, datapath: {workers: 3}", "")
	var opened cleanup
	defer func() { opened.close() }()
	sockets, err := openOutside(cfg.Gateway, cfg.Connections, Options{}, &opened)
	if err != nil {
		t.Fatal(err)
	}
	ports := map[uint16]int{}
	for _, s := range sockets {
		ports[s.Port()]++
	}
	if len(ports) != 2 || ports[50500] != 1 || ports[54501] != 3 || !steered(sockets) {
		t.Errorf("sockets by port %v, steered: %v", ports, steered(sockets))
	}
}
