/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What linux.uml's ptrace() lacks. Preloaded. One thread only calls it there.
 *
 * Its processes are processes of this machine, whose system calls it traces away. Should it be killed, they would
 * go on untraced: as root, on the real files (tens of thousands of folders in two seconds, seen). So they get
 * PTRACE_O_EXITKILL, which Debian 12's (6.1) does not ask for.
 *
 * And it runs on processors whose register state is longer than it knows (AMX: 11,008 octets). It reads and
 * writes its processes' registers with PTRACE_GETREGSET and _SETREGSET (NT_X86_XSTATE) through a buffer of fixed
 * length. The host's kernel truncates what is read, but refuses to write anything that is not as long as its own
 * state (EFAULT; x86/kernel/fpu/regset.c), so that the guest panics at its first process. Here what is read is cut
 * to the caller's length and what is written is filled up with zeros. That loses nothing: a component above that
 * length is in its initial state, for AMX has to be asked for (arch_prctl), which the guest's kernel does not know.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define STATE_MAX 65536
#define OLD_SETOPTIONS 21 /* asm/ptrace-abi.h */
#define HEADER_AT 512 /* XSTATE_BV, in the standard format (Intel SDM 1, 13.4.2) */

static long (*real) (int request, ...);
static uint8_t state[STATE_MAX] __attribute__ ((aligned (64)));
static size_t state_len; /* the host's; 0: not known yet */

static long
get_state (int pid, struct iovec *caller)
{
  struct iovec whole = { .iov_base = state, .iov_len = sizeof state };
  long result = real (PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &whole);

  if (result != 0)
    return result;
  state_len = whole.iov_len;
  if (caller->iov_len > state_len)
    caller->iov_len = state_len;
  memcpy (caller->iov_base, state, caller->iov_len);
  return 0;
}

static long
set_state (int pid, struct iovec *caller)
{
  struct iovec whole = { .iov_base = state };
  uint64_t present;

  /* The first time one is written, the host's length is not known yet. */
  if (state_len == 0)
    {
      struct iovec probe = { .iov_base = state, .iov_len = sizeof state };

      if (real (PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &probe) != 0)
        return -1;
      state_len = probe.iov_len;
    }
  if (caller->iov_len >= state_len)
    return real (PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, caller);
  memset (state, 0, state_len);
  memcpy (state, caller->iov_base, caller->iov_len);
  /* Components up to PKRU (bit 9) lie in the caller's 2,696 octets. */
  memcpy (&present, state + HEADER_AT, sizeof present);
  present &= 0x3FF;
  memcpy (state + HEADER_AT, &present, sizeof present);
  whole.iov_len = state_len;
  return real (PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
}

long
ptrace (enum __ptrace_request request, ...)
{
  va_list args;
  int pid;
  void *address, *data;

  va_start (args, request);
  pid = va_arg (args, int);
  address = va_arg (args, void *);
  data = va_arg (args, void *);
  va_end (args);
  if (real == NULL)
    {
      void *found = dlsym (RTLD_NEXT, "ptrace");

      memcpy (&real, &found, sizeof real);
    }
  if (request == PTRACE_GETREGSET && address == (void *)NT_X86_XSTATE)
    return get_state (pid, data);
  if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE)
    return set_state (pid, data);
  if (request == PTRACE_SETOPTIONS || (int)request == OLD_SETOPTIONS)
    data = (void *)((uintptr_t)data | PTRACE_O_EXITKILL);
  return real ((int)request, pid, address, data);
}
