package esp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"twinbore/esp/protect"
	"twinbore/esp/protect/vectors"
)

// every lists the algorithms that ESP is tested with: each shape of IV, block and tag.
var every = []*protect.Algorithm{
	protect.AES128GCM16, protect.AES256GCM16, protect.ChaCha20Poly1305,
	protect.CBC(128, protect.HMACSHA256), protect.CBC(256, protect.HMACSHA384),
	protect.CBC(256, protect.HMACSHA512), protect.CBC(128, protect.InsecureHMACSHA1),
}

const testSPI SPI = 0xc0ffee00

func params(alg *protect.Algorithm, esn bool, window int) Params {
	key := make([]byte, alg.KeyLen)
	for i := range key {
		key[i] = byte(i * 13)
	}
	return Params{SPI: testSPI, Algorithm: alg, Key: key, ESN: esn, Window: window}
}

// pair returns both ends of one SA.
func pair(t testing.TB, p Params) (*Outbound, *Inbound) {
	t.Helper()
	return outbound(t, p, Limits{}), inbound(t, p, Limits{})
}

func outbound(t testing.TB, p Params, limits Limits) *Outbound {
	t.Helper()
	out, err := NewOutbound(p, limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func inbound(t testing.TB, p Params, limits Limits) *Inbound {
	t.Helper()
	in, err := NewInbound(p, limits)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// seal returns the packet with number seq, wherever out has come to.
func seal(t testing.TB, out *Outbound, seq uint64, inner []byte) []byte {
	t.Helper()
	out.seq = seq - 1
	pkt, err := out.Seal(nil, inner, NextIPv4)
	if err != nil {
		t.Fatal(err)
	}
	return pkt
}

// open opens a copy of pkt, so that pkt can come again.
func open(in *Inbound, pkt []byte) ([]byte, uint8, error) { return in.Open(bytes.Clone(pkt)) }

// wantErr opens a copy of pkt and compares the error.
func wantErr(t testing.TB, in *Inbound, pkt []byte, want error, what string) {
	t.Helper()
	if _, _, err := open(in, pkt); !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// sealPlain seals plaintext, trailer included, as no Outbound would: the integrity check is good, the rest need not be.
func sealPlain(t testing.TB, p Params, seq uint64, plaintext []byte) []byte {
	t.Helper()
	protector, err := p.Algorithm.New(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	pkt := binary.BigEndian.AppendUint32(nil, uint32(p.SPI))
	pkt = binary.BigEndian.AppendUint32(pkt, uint32(seq))
	pkt = append(pkt, bytes.Repeat([]byte{0x5a}, p.Algorithm.IVLen)...)
	return protector.Seal(pkt, pkt[headerLen:], plaintext, slices.Clone(pkt[:headerLen]), nil)
}

// ipv4 returns an IPv4 packet of n octets.
func ipv4(n int) []byte {
	b := make([]byte, n)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	for i := 20; i < n; i++ {
		b[i] = byte(i)
	}
	return b
}

// TestVectors opens packets of RFC 7634, RFC 4106's test cases, scapy and OpenSSL, and refuses the broken ones for the
// right reason (E-03, E-05, ESP-01, ESP-02).
func TestVectors(t *testing.T) {
	algorithms := map[string]*protect.Algorithm{}
	for _, a := range []*protect.Algorithm{protect.AES128GCM16, protect.AES256GCM16, protect.ChaCha20Poly1305} {
		algorithms[a.Name] = a
	}
	for _, integ := range []protect.Integrity{protect.HMACSHA256, protect.HMACSHA384, protect.HMACSHA512, protect.InsecureHMACSHA1} {
		for _, bits := range []int{128, 256} {
			a := protect.CBC(bits, integ)
			algorithms[a.Name] = a
		}
	}
	verdicts := map[string]error{"ok": nil, "bad-icv": ErrAuth, "bad-length": ErrMalformed, "bad-padding": ErrMalformed}
	for _, c := range vectors.Load(t, "esp-*.txt") {
		t.Run(c.Name(), func(t *testing.T) {
			want, known := verdicts[c.Text(t, "expect")]
			if !known {
				t.Fatalf("%s: verdict %q", c.Where, c.Text(t, "expect"))
			}
			in := inbound(t, Params{
				SPI:       SPI(c.Uint(t, "spi")),
				Algorithm: algorithms[c.Text(t, "algorithm")],
				Key:       c.Hex(t, "key"),
				ESN:       c.Text(t, "esn") == "yes",
				Window:    64,
			}, Limits{})
			in.window.top = c.Uint(t, "seq") - 1 // so far the SA has come
			inner, next, err := in.Open(c.Hex(t, "esp"))
			if !errors.Is(err, want) {
				t.Fatalf("error %v, want %v", err, want)
			}
			if want != nil {
				return
			}
			if !bytes.Equal(inner, c.Hex(t, "inner")) {
				t.Errorf("inner\n got %x\nwant %x", inner, c.Hex(t, "inner"))
			}
			if uint64(next) != c.Uint(t, "next") {
				t.Errorf("next header %d, want %s", next, c.Text(t, "next"))
			}
			wantErr(t, in, c.Hex(t, "esp"), ErrReplay, "the same packet again")
		})
	}
}

func TestNewRefusesParameters(t *testing.T) { // E-04, E-06, RPL-10, P-03
	good := params(protect.AES128GCM16, true, 64)
	for name, change := range map[string]func(*Params){
		"SPI 0":             func(p *Params) { p.SPI = 0 },
		"SPI 255":           func(p *Params) { p.SPI = 255 },
		"no algorithm":      func(p *Params) { p.Algorithm = nil },
		"key too short":     func(p *Params) { p.Key = p.Key[1:] },
		"ESN and no window": func(p *Params) { p.Window = 0 },
		"window 32":         func(p *Params) { p.Window = 32 },
		"window 96":         func(p *Params) { p.Window = 96 },
		"window too large":  func(p *Params) { p.Window = 2 * maxWindow },
		"window negative":   func(p *Params) { p.Window = -64 },
	} {
		p := good
		change(&p)
		if _, err := NewInbound(p, Limits{}); err == nil {
			t.Errorf("%s: NewInbound takes it", name)
		}
		if p.Window != good.Window {
			continue // not looked at on the way out
		}
		if _, err := NewOutbound(p, Limits{}, nil); err == nil {
			t.Errorf("%s: NewOutbound takes it", name)
		}
	}
	noCheck := params(protect.AES128GCM16, false, 0)
	if _, err := NewInbound(noCheck, Limits{}); err != nil {
		t.Errorf("without ESN the window may be off: %v", err)
	}
}

func TestDropReasons(t *testing.T) {
	reasons := map[string]error{}
	for _, err := range []error{ErrMalformed, ErrUnknownSPI, ErrReplay, ErrAuth, ErrDummy, ErrInner, ErrSeqExhausted, ErrExpired} {
		word := DropReason(err)
		if other, taken := reasons[word]; taken || word == "internal" {
			t.Errorf("%v and %v are both %q", err, other, word)
		}
		reasons[word] = err
	}
	if got := DropReason(errors.Join(errors.New("other"), ErrReplay)); got != "replay" {
		t.Errorf("a wrapped ErrReplay is %q", got)
	}
	if got := DropReason(errors.New("other")); got != "internal" {
		t.Errorf("a foreign error is %q", got)
	}
	if got := DropReason(nil); got != "" {
		t.Errorf("no error is %q", got)
	}
}
