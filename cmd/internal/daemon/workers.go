package daemon

import (
	"cmp"
	"runtime"
	"slices"

	"twinbore/config"
	"twinbore/tunnel/datapath"
)

// mostWorkers is as many as the configuration may ask for.
const mostWorkers = 256

// workers returns how many workers move packets, each with sockets of its own, and how many queues the device has for
// them. Unless the configuration says so it is one on two cores, where a second would take the time of the programs that
// the packets are for, and one per core above. Sockets that were handed in are one of each.
func workers(cfg config.Datapath, opts Options) (workers, queues int) {
	if workers = cfg.Workers; workers == 0 {
		if workers = min(runtime.GOMAXPROCS(0), mostWorkers); workers <= 2 {
			workers = 1
		}
	}
	if opts.Listen != nil {
		workers = 1
	}
	return workers, cmp.Or(cfg.TUN.Queues, workers)
}

// resources is how many Child SAs for the same traffic the workers have a use for (RFC 9611).
func resources(cfg config.Datapath, opts Options) int {
	n, _ := workers(cfg, opts)
	return n
}

// steered reports whether the kernel brings each tunnel's packets to one worker.
func steered(sockets []datapath.Socket) bool {
	return slices.ContainsFunc(sockets, func(s datapath.Socket) bool { return s.Offloads().Steered })
}
