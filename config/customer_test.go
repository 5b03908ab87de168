package config

import (
	"strings"
	"testing"
)

// customers is a gateway for two connections that end at customer gateways.
const customers = `gateway: {networks: [10.20.0.0/16], outside: {address: [192.0.2.10, 192.0.2.11]}}
customer_gateways:
  - {name: lyon, address: 203.0.113.1, asn: 65101, device: {vendor: juniper, platform: srx}, tags: {tier: gold}}
  - {name: nice, address: nice.example, remote_id: "fqdn:nice.example"}
connections:
  - name: branch
    role: cloud
    routing: static
    remote_networks: [10.30.0.0/16]
    customer_gateway: lyon
    tunnels: [{inside: 169.254.61.1/30}, {inside: 169.254.62.1/30, remote_id: "keyid:second"}]
  - name: both
    role: cloud
    routing: static
    remote_networks: [10.31.0.0/16]
    device: {vendor: generic}
    tunnels: [{customer_gateway: nice}, {remote: 203.0.113.7}]
`

func TestCustomerGatewayFillsIn(t *testing.T) { // R3, R4
	c := good(t, customers)
	branch, both := c.Connections[0], c.Connections[1]
	if branch.Device.Vendor != "juniper" || both.Device.Vendor != "generic" {
		t.Errorf("devices %v and %v", branch.Device, both.Device)
	}
	for i, want := range []struct {
		remote, id string
		asn        uint32
	}{{"203.0.113.1", "", 65101}, {"203.0.113.1", "keyid:second", 65101}} {
		if got := branch.Tunnels[i]; got.Remote.String() != want.remote || got.RemoteID != want.id || got.PeerASN != want.asn {
			t.Errorf("tunnel %d: %v %q %d, want %v", i+1, got.Remote, got.RemoteID, got.PeerASN, want)
		}
	}
	if branch.Tunnels[0].Local == branch.Tunnels[1].Local {
		t.Error("R19: both tunnels to one device leave from one address")
	}
	if got := both.Tunnels[0]; got.Remote.Host != "nice.example" || got.RemoteID != "fqdn:nice.example" {
		t.Errorf("a tunnel's own customer gateway: %v %q", got.Remote, got.RemoteID)
	}
	if got := both.Tunnels[1]; got.Remote.String() != "203.0.113.7" || got.RemoteID != "" {
		t.Errorf("a tunnel with none: %v %q", got.Remote, got.RemoteID)
	}
}

func TestCustomerGatewayWithCertificate(t *testing.T) { // R60: its address may be any
	c := good(t, `gateway: {networks: [10.20.0.0/16], outside: {address: [192.0.2.10, 192.0.2.11]}}
customer_gateways: [{name: lyon, address: any, remote_id: lyon.example, certificate: {ca: [ca.pem], crl: [ca.crl]}}]
connections:
  - name: branch
    role: cloud
    routing: static
    remote_networks: [10.30.0.0/16]
    customer_gateway: lyon
    auth: certificate
    certificate: {cert: gw.pem, key: {file: gw.key}}
    tunnels: [{}, {}]
`)
	if got := c.Connections[0]; strings.Join(got.Certificate.CA, "") != "ca.pem" || strings.Join(got.Certificate.CRL, "") != "ca.crl" || !got.Tunnels[1].Remote.Any || got.Tunnels[1].RemoteID != "lyon.example" {
		t.Errorf("%+v", got)
	}
}

func TestCustomerGatewayProblems(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"R2: a name that nobody has", strings.Replace(customers, "customer_gateway: lyon", "customer_gateway: lyons", 1),
			`f:10:23: connections[0].customer_gateway: there is no customer gateway "lyons"; there are lyon, nice; did you mean "lyon"?`},
		{"R2: at a tunnel", strings.Replace(customers, "customer_gateway: nice", "customer_gateway: rome", 1),
			`f:17:34: connections[1].tunnels[0].customer_gateway: there is no customer gateway "rome"; there are lyon, nice`},
		{"R16: two of one name", strings.Replace(customers, "name: nice", "name: lyon", 1),
			`f:4:12: customer_gateways[1].name: there are two customer gateways "lyon"; the other is at f:3:5`},
		{"R4: no address", strings.Replace(customers, "address: 203.0.113.1, ", "", 1),
			`f:3:5: customer_gateways[0]: address is missing; its outside address, host name, or any`},
		{"R14", strings.Replace(customers, "networks: [10.20.0.0/16],", "networks: [10.20.0.0/16], limits: {max_customer_gateways: 1},", 1),
			`f:3:3: customer_gateways: 2 customer gateways, more than gateway.limits.max_customer_gateways (1)`},
		{"R29: two names of one device", strings.NewReplacer("nice.example,", "203.0.113.1,", "{remote: 203.0.113.7}", "{customer_gateway: lyon}").Replace(customers),
			`f:17:60: connections[1].tunnels[1].customer_gateway: customer gateways "nice" and "lyon" of connection "both" have the same address 203.0.113.1; two devices of a redundant pair are at two addresses`},
	} {
		if said := strings.Join(problems(c.text), "\n"); !strings.Contains(said, c.want) {
			t.Errorf("%s: said\n%s\nwant\n%s", c.why, said, c.want)
		}
	}
}
