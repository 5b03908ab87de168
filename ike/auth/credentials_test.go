package auth

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPSKsAreThoseValidNowNewestFirst(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	c := Credentials{Secrets: []Secret{
		{Peer: "hq/1", Key: []byte("first"), NotAfter: day(10)},
		{Peer: "hq/2", Key: []byte("of another tunnel")},
		{Peer: "hq/1", Key: nil},
		{Peer: "hq/1", Key: []byte("second"), NotBefore: day(5), NotAfter: day(20)},
		{Peer: "hq/1", Key: []byte("second too"), NotBefore: day(5)},
		{Peer: "hq/1", Key: []byte("third"), NotBefore: day(15)},
	}}
	for _, q := range []struct {
		now  time.Time
		want string
	}{
		{day(1), "first"},
		{day(5).Add(-1), "first"},
		{day(5), "second,second too,first"},
		{day(10).Add(-1), "second,second too,first"},
		{day(10), "second,second too"},
		{day(15), "third,second,second too"},
		{day(20), "third,second too"},
	} {
		var got []string
		for _, k := range c.PSKs("hq/1", q.now) {
			got = append(got, string(k.Key))
		}
		if strings.Join(got, ",") != q.want {
			t.Errorf("at %s: %v, want %s", q.now, got, q.want)
		}
	}
	if got := c.PSKs("hq", day(5)); got != nil {
		t.Errorf("a peer without a secret has %q", got)
	}
	if got := (Credentials{}).PSKs("hq/1", day(5)); got != nil {
		t.Errorf("no credentials give %q", got)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := Credentials{Secrets: []Secret{{Peer: "hq/1", Key: []byte("swordfish")}}}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%v %+v %#v", c.Secrets[0], &c.Secrets[0], c.Secrets), string(asJSON),
	} {
		if !strings.Contains(text, "hq/1 [redacted]") {
			t.Errorf("printed as %s", text)
		}
		for _, leak := range []string{"swordfish", "c3dvcmRmaXNo", "115 119", "0x73, 0x77"} {
			if strings.Contains(text, leak) {
				t.Errorf("the key shows in %s", text)
			}
		}
	}
}
