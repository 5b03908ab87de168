package daemon

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// SEC-02: a secret that came in an environment variable is in no environment any more once it was read, neither in what
// /proc shows nor in that of a program that is started, and can still be looked up.
func TestSecretLeavesTheEnvironment(t *testing.T) {
	const name, value, other = "TWINBORE_TEST_PSK", "the canary of the environment", "TWINBORE_TEST_OTHER=stays"
	if os.Getenv("TWINBORE_TEST_CHILD") == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestSecretLeavesTheEnvironment$", "-test.v")
		cmd.Env = append(os.Environ(), "TWINBORE_TEST_CHILD=1", name+"="+value, other, "GORACE=atexit_sleep_ms=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	environ := func() []byte {
		b, err := os.ReadFile("/proc/self/environ")
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Contains(environ(), []byte(value)) {
		t.Fatal("the canary is not there to begin with")
	}
	for range 2 {
		if got, ok, err := secretEnvironment.take(name); !ok || got != value || err != nil {
			t.Errorf("got %q, %v, %v", got, ok, err)
		}
	}
	if _, ok, _ := secretEnvironment.take("TWINBORE_TEST_NO_SUCH"); ok {
		t.Error("a variable that is not set was found")
	}
	child, err := exec.Command("/usr/bin/env").Output()
	if err != nil {
		t.Fatal(err)
	}
	for where, b := range map[string][]byte{"/proc/self/environ": environ(), "a child's environment": child} {
		if bytes.Contains(b, []byte(value)) {
			t.Errorf("the canary is in %s", where)
		}
		if !bytes.Contains(b, []byte(other)) {
			t.Errorf("another variable is not in %s any more", where)
		}
	}
}
