package fib

import "testing"

func TestHostsCountsEachAddress(t *testing.T) {
	a, b := addr("192.0.2.1"), addr("2001:db8::1")
	var empty Hosts
	if empty.Contains(a) || empty.Without(a).Contains(a) {
		t.Error("the empty set contains something")
	}
	twice := empty.With(a).With(b).With(a)
	once := twice.Without(a)
	none := once.Without(a)
	for _, tt := range []struct {
		name   string
		set    Hosts
		hasA   bool
		others bool
	}{{"twice", twice, true, true}, {"once", once, true, true}, {"none", none, false, true}, {"none again", none.Without(a), false, true}} {
		if tt.set.Contains(a) != tt.hasA || tt.set.Contains(b) != tt.others {
			t.Errorf("%s: contains a %v, b %v; want %v, %v", tt.name, tt.set.Contains(a), tt.set.Contains(b), tt.hasA, tt.others)
		}
	}
	if empty.Contains(a) || !twice.Contains(a) {
		t.Error("a set changed after a newer one was made of it")
	}
}

func TestHostsTakesAddressesAsSocketsGiveThem(t *testing.T) {
	set := Hosts{}.With(addr("::ffff:192.0.2.1")).With(addr("fe80::1%eth0"))
	if !set.Contains(addr("192.0.2.1")) {
		t.Error("a mapped IPv4 address is not found as IPv4")
	}
	if !set.Contains(addr("fe80::1")) {
		t.Error("an address with a zone is not found without it")
	}
}
