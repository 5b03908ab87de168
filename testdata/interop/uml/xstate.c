// Lets User-Mode Linux run on processors whose register state is larger than it knows (AMX: 11 KiB; Linux 6.1 knows
// 2,696 octets). The host refuses to set a part of the state (EFAULT), so this sets the rest to what it is.
// Preloaded into linux.uml: LD_PRELOAD=build/peers/uml-xstate.so
#define _GNU_SOURCE
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

long ptrace(enum __ptrace_request request, ...) {
  va_list words;
  va_start(words, request);
  pid_t pid = va_arg(words, pid_t);
  void *addr = va_arg(words, void *);
  void *data = va_arg(words, void *);
  va_end(words);

  static char whole[64 << 10];
  if (request == PTRACE_SETREGSET && (long)addr == NT_X86_XSTATE) {
    const struct iovec *part = data;
    struct iovec all = {whole, sizeof whole};
    if (part->iov_len < sizeof whole && syscall(SYS_ptrace, PTRACE_GETREGSET, pid, addr, &all) == 0 && all.iov_len > part->iov_len) {
      memcpy(whole, part->iov_base, part->iov_len);
      return syscall(SYS_ptrace, request, pid, addr, &all);
    }
  }
  // The C library's function returns what PEEK reads; the system call writes it to where data points.
  if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
    long word;
    long err = syscall(SYS_ptrace, request, pid, addr, &word);
    return err < 0 ? err : word;
  }
  return syscall(SYS_ptrace, request, pid, addr, data);
}
