package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const sysctlRoot = "/proc/sys"

// The settings that forwarding between the device and the other interfaces depends on.
const (
	forward4 = "net.ipv4.ip_forward"
	forward6 = "net.ipv6.conf.all.forwarding"
)

func reverseFilter(device string) string { return "net.ipv4.conf." + device + ".rp_filter" }

// CheckForwarding reads the settings of this host, in the calling thread's network namespace, and returns a sentence for
// each that keeps packets from being forwarded between the device and the rest, with what to do. Nothing is changed.
func CheckForwarding(device string) []string { return checkForwarding(os.DirFS(sysctlRoot), device) }

func checkForwarding(sys fs.FS, device string) (warnings []string) {
	if v, ok := read(sys, forward4); ok && v == "0" {
		warnings = append(warnings, "this host does not forward IPv4: hosts behind it cannot use the tunnels; sysctl -w "+forward4+"=1")
	}
	if v, ok := read(sys, forward6); ok && v == "0" {
		warnings = append(warnings, "this host does not forward IPv6: hosts behind it cannot use the tunnels; sysctl -w "+forward6+
			"=1 (an interface that learns its routes from router advertisements then needs accept_ra=2)")
	}
	// The kernel takes the larger of the two: 1 is strict, 2 is loose.
	all, _ := read(sys, reverseFilter("all"))
	own, ok := read(sys, reverseFilter(device))
	if ok && max(all, own) == "1" {
		warnings = append(warnings, fmt.Sprintf("the strict reverse path filter on %s drops packets whose way back is not this device; sysctl -w %s=2",
			device, reverseFilter(device)))
	}
	return warnings
}

// EnableForwarding makes this host forward IPv4 and IPv6 and the reverse path filter of the device loose, in the calling
// thread's network namespace. What the kernel does not have, such as IPv6, is skipped. It is not undone by anything.
func EnableForwarding(device string) error {
	var errs []error
	for _, s := range [][2]string{{forward4, "1"}, {forward6, "1"}, {reverseFilter(device), "2"}} {
		name, value := filepath.Join(sysctlRoot, file(s[0])), s[1]
		if err := os.WriteFile(name, []byte(value), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("sysctl %s=%s: %w", s[0], value, err))
		}
	}
	return errors.Join(errs...)
}

// read returns a setting; ok is false when the kernel does not have it.
func read(sys fs.FS, name string) (value string, ok bool) {
	b, err := fs.ReadFile(sys, file(name))
	return strings.TrimSpace(string(b)), err == nil
}

// file returns where a setting is. An interface's name may have dots, which are not separators.
func file(name string) string {
	for _, family := range []string{"net.ipv4.conf.", "net.ipv6.conf."} {
		if rest, ok := strings.CutPrefix(name, family); ok {
			if i := strings.LastIndexByte(rest, '.'); i > 0 {
				return strings.ReplaceAll(family, ".", "/") + rest[:i] + "/" + rest[i+1:]
			}
		}
	}
	return strings.ReplaceAll(name, ".", "/")
}
