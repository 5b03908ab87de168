package gcm

import (
	"bytes"
	"crypto/rand"
	"os"
	"runtime"
	"testing"
	"unsafe"
)

// CRY-13: a Key that nobody can use any more is zeroed before its memory is given away. Its address is kept as a number,
// which does not keep the Key, and read as another process would.
func TestUnreachableKeysAreWiped(t *testing.T) {
	if Selected() == "none" {
		t.Skip("needs VAES and VPCLMULQDQ; to run it: make test on a CPU that has them")
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Skip("needs /proc/self/mem; to run it: make test on a system that shows a process its memory")
	}
	defer mem.Close()
	secret := make([]byte, 32)
	rand.Read(secret)
	k := New(secret, [SaltLen]byte{1, 2, 3, 4})
	at, content := uintptr(unsafe.Pointer(k)), make([]byte, unsafe.Sizeof(*k))
	read := func() []byte {
		if _, err := mem.ReadAt(content, int64(at)); err != nil {
			t.Fatal(err)
		}
		return content
	}
	if !bytes.Contains(read(), secret[:16]) {
		t.Fatal("the key is not found in the Key while it is in use")
	}
	runtime.KeepAlive(k)
	k = nil
	for range 2 { // finalizers run after the first collection
		ran := make(chan struct{})
		runtime.SetFinalizer(&struct{ octets [64]byte }{}, func(any) { close(ran) })
		runtime.GC()
		<-ran
	}
	if bytes.Contains(read(), secret[:16]) {
		t.Error("the key is still there after the Key is gone")
	}
}
