package esp

import (
	"bytes"
	"errors"
	"testing"
)

// ipv6 returns an IPv6 packet of n octets.
func ipv6(n int) []byte {
	b := make([]byte, n)
	b[0], b[4], b[5], b[6], b[7] = 0x60, byte((n-40)>>8), byte(n-40), 17, 64
	return b
}

func with(b []byte, at int, v byte) []byte {
	b = bytes.Clone(b)
	b[at] = v
	return b
}

func TestInner(t *testing.T) { // ESP-03, E-05
	for name, c := range map[string]struct {
		next      uint8
		plaintext []byte
		want      int // octets; 0 means refused
	}{
		"IPv4":                              {4, ipv4(60), 60},
		"IPv4, header only":                 {4, ipv4(20), 20},
		"IPv4 with traffic flow padding":    {4, append(ipv4(60), make([]byte, 500)...), 60},
		"IPv4 with options":                 {4, with(ipv4(60), 0, 0x4f), 60},
		"IPv4 said to be IPv6":              {41, ipv4(60), 0},
		"IPv4 said to be TCP":               {6, ipv4(60), 0},
		"IPv4, header of 16":                {4, with(ipv4(60), 0, 0x44), 0},
		"IPv4, header of 0":                 {4, with(ipv4(60), 0, 0x40), 0},
		"IPv4, header longer than total":    {4, with(ipv4(40), 0, 0x4f), 0},
		"IPv4, total longer than plaintext": {4, ipv4(60)[:59], 0},
		"IPv4, total 0":                     {4, with(ipv4(60), 3, 0), 0},
		"IPv4, total 19":                    {4, with(ipv4(60), 3, 19), 0},
		"IPv4, 19 octets":                   {4, ipv4(20)[:19], 0},
		"version 0":                         {4, with(ipv4(60), 0, 0x05), 0},
		"version 5":                         {4, with(ipv4(60), 0, 0x55), 0},
		"nothing as IPv4":                   {4, nil, 0},
		"IPv6":                              {41, ipv6(80), 80},
		"IPv6 with traffic flow padding":    {41, append(ipv6(80), 1, 2, 3), 80},
		"IPv6 said to be IPv4":              {4, ipv6(80), 0},
		"IPv6, version 5":                   {41, with(ipv6(80), 0, 0x50), 0},
		"IPv6, longer than plaintext":       {41, ipv6(80)[:79], 0},
		"IPv6, 39 octets":                   {41, ipv6(40)[:39], 0},
		"IPv6, jumbogram":                   {41, with(with(ipv6(80), 5, 0), 6, 0), 0},
		"IPv6, UDP of length 0":             {41, with(ipv6(80), 5, 0), 0},
		"IPv6, nothing follows":             {41, with(with(ipv6(80), 5, 0), 6, 59), 40},
		"nothing as IPv6":                   {41, nil, 0},
	} {
		got, err := Inner(c.next, c.plaintext)
		if c.want == 0 {
			if !errors.Is(err, ErrInner) || got != nil {
				t.Errorf("%s: %d octets, error %v, want ErrInner", name, len(got), err)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, c.plaintext[:c.want]) {
			t.Errorf("%s: %d octets, error %v, want the first %d", name, len(got), err, c.want)
		}
	}
}
