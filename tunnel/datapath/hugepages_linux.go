package datapath

import "syscall"

const madvHugePage = 14 // MADV_HUGEPAGE, madvise(2)

// preferHugePages asks the kernel for huge pages behind b. It is a wish; without them all is a little slower.
func preferHugePages(b []byte) {
	syscall.Madvise(b, madvHugePage)
}
