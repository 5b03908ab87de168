//go:build interop

package interop

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// wireguard is wireguard-go as testdata/interop/bench.sh builds it.
var wireguard, _ = filepath.Abs("../../../build/bin/wireguard")

const wireguardPort = 51820

// wireguards starts wireguard-go at a and b and joins their inner networks.
func (l *lab) wireguards(mtu int) (daemons []*process, err error) {
	var keys [2]*ecdh.PrivateKey
	for i := range keys {
		if keys[i], err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
	}
	ends := []struct{ host, remote, network string }{{"a", "198.51.100.1", "10.2.0.0/24"}, {"b", "192.0.2.1", "10.1.0.0/24"}}
	for i, e := range ends {
		conf := fmt.Sprintf("set=1\nprivate_key=%x\nlisten_port=%d\npublic_key=%x\nendpoint=%s:%d\nallowed_ip=%s\n\n",
			keys[i].Bytes(), wireguardPort, keys[1-i].PublicKey().Bytes(), e.remote, wireguardPort, e.network)
		p, err := l.startWireguard(e.host, conf)
		if err != nil {
			return nil, err
		}
		daemons = append(daemons, p)
		l.must("ip", "-n", l.ns(e.host), "link", "set", "wg0", "mtu", strconv.Itoa(mtu-80), "txqueuelen", "5000", "up") // as long a queue as ours
		l.must("ip", "-n", l.ns(e.host), "route", "add", e.network, "dev", "wg0")
	}
	return daemons, nil
}

// startWireguard runs wireguard-go with a private /run and gives it its configuration by the socket that it makes there.
func (l *lab) startWireguard(host, conf string) (*process, error) {
	p, err := l.start(host, "wireguard-"+host, []string{"LOG_LEVEL=error"}, "sh", "-c", "mount -t tmpfs tmpfs /run && exec "+wireguard+" -f wg0")
	if err != nil {
		return nil, err
	}
	socket := fmt.Sprintf("/proc/%d/root/run/wireguard/wg0.sock", p.cmd.Process.Pid)
	err = p.ready(10*time.Second, func() error {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write([]byte(conf)); err != nil {
			return err
		}
		answer, err := bufio.NewReader(c).ReadString('\n')
		if err == nil && strings.TrimSpace(answer) != "errno=0" {
			err = fmt.Errorf("wireguard-go answers %q", answer)
		}
		return err
	})
	return p, err
}
