package gcm

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A kernel is one of the ways in which a Key works.
type kernel uint32

const (
	none   kernel = iota // the standard library, which is the caller's business
	avx2                 // vectors of 32 octets
	avx512               // vectors of 64 octets
)

var names = [...]string{none: "none", avx2: "avx2", avx512: "avx512"}

func (k kernel) String() string { return names[k] }

// probed are the kernels that this CPU can run and that gave the right answers, best first.
var probed = sync.OnceValue(func() (good []kernel) {
	for _, k := range []kernel{avx512, avx2} {
		if supported(k) && selfTest(k) {
			good = append(good, k)
		}
	}
	return good
})

// chosen is 1 + the kernel that Select chose; 0 stands for the best.
var chosen atomic.Uint32

func selected() kernel {
	if c := chosen.Load(); c != 0 {
		return kernel(c - 1)
	}
	if good := probed(); len(good) > 0 {
		return good[0]
	}
	return none
}

// Kernels returns the names of the kernels that this CPU can run and that passed their known-answer test, best first. It is
// empty where the standard library has to do.
func Kernels() []string {
	var all []string
	for _, k := range probed() {
		all = append(all, k.String())
	}
	return all
}

// Selected returns the name of the kernel that the next Key will use, or "none".
func Selected() string { return selected().String() }

// Select chooses the kernel of the keys that New makes from now on: "auto" is the best that there is, which is also the choice of a
// process that never calls Select; "none" leaves AES-GCM to the standard library; else one of Kernels. Keys that exist keep
// theirs. It is an error, and changes nothing, to ask for a kernel that this CPU cannot run. Safe for concurrent use.
func Select(name string) error {
	i := slices.Index(names[:], name)
	switch {
	case name == "auto":
		chosen.Store(0)
		return nil
	case i < 0 || kernel(i) != none && !slices.Contains(probed(), kernel(i)):
		return fmt.Errorf("AES-GCM kernel %q is none of %s", name, strings.Join(append([]string{"auto", "none"}, Kernels()...), ", "))
	}
	chosen.Store(uint32(i) + 1)
	return nil
}
