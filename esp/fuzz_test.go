package esp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"twinbore/esp/protect/vectors"
)

// FuzzOpen gives an Inbound three packets for each input: the input itself, a good packet with the input laid over it,
// and the input as a plaintext with a good integrity check, so that padding and inner headers are reached (ESP-01,
// ESP-02, ESP-03, CRY-07).
func FuzzOpen(f *testing.F) {
	for _, c := range vectors.Load(f, "esp-*.txt") {
		f.Add(uint8(len(c.Name())), c.Hex(f, "esp"))
	}
	f.Add(uint8(0), append(ipv4(21), 1, 1, 4))
	f.Add(uint8(3), append(ipv6(40), 1, 2, 3, 4, 5, 6, 6, 41))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		p := params(every[int(which)%len(every)], false, 64)
		out, in := pair(t, p)

		if inner, _, err := in.Open(bytes.Clone(data)); err == nil {
			t.Fatalf("%s: an input that nobody sealed opens as %x", p.Algorithm.Name, inner)
		}
		copyOver := bytes.Clone(data)
		if len(data) >= 8 { // with our SPI it comes further
			binary.BigEndian.PutUint32(copyOver, uint32(testSPI))
			if inner, _, err := in.Open(copyOver); err == nil {
				t.Fatalf("%s: an input with our SPI that nobody sealed opens as %x", p.Algorithm.Name, inner)
			}
		}

		good := seal(t, out, 1, ipv4(40+int(which)))
		broken := bytes.Clone(good)
		for i := range min(len(data), len(broken)) {
			broken[len(broken)-1-i] ^= data[i]
		}
		if _, _, err := open(in, broken); (err == nil) != bytes.Equal(broken, good) {
			t.Fatalf("%s: a packet with %x laid over its end: %v", p.Algorithm.Name, data, err)
		}

		plaintext := slices.Clone(data[:len(data)-len(data)%max(4, p.Algorithm.Block)])
		if len(plaintext) == 0 {
			return
		}
		opened, next, err := in.Open(sealPlain(t, p, 2, plaintext))
		switch {
		case errors.Is(err, ErrMalformed), errors.Is(err, ErrDummy):
			return
		case err != nil:
			t.Fatalf("%s: a plaintext with a good integrity check: %v", p.Algorithm.Name, err)
		}
		pad := len(plaintext) - 2 - len(opened)
		if pad != int(plaintext[len(plaintext)-2]) || next != plaintext[len(plaintext)-1] || !bytes.HasPrefix(plaintext, opened) {
			t.Fatalf("%x opens as %x with next header %d", plaintext, opened, next)
		}
		packet, err := Inner(next, opened)
		if err != nil {
			return
		}
		total := int(binary.BigEndian.Uint16(opened[2:]))
		if next == NextIPv6 {
			total = 40 + int(binary.BigEndian.Uint16(opened[4:]))
		}
		if len(packet) != total || len(packet) < 20 || !bytes.HasPrefix(opened, packet) {
			t.Fatalf("next header %d: %x holds the packet %x", next, opened, packet)
		}
	})
}
