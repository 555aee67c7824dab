/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The system-call filter of a plugin at work: its device, its D-Bus connection and its bus socket are open, so it needs
 * no name space of files or networks any more. All else fails with EPERM rather than killing the process: libraries
 * open things late and cope with a refusal (a time zone, a message catalogue), and a plugin that died of that would be a
 * bus that flaps; whoever takes the process over gains nothing by the answer. A foreign ABI's calls (32 bit on a 64-bit
 * kernel) kill, which is libseccomp's default. */

#include "gangway-private.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Names, not numbers: an architecture that lacks one is none the worse. */
static const struct
{
  const char *name;
  const char *why;
} allowed[] = {
  { "read", "the device, D-Bus' eventfd" },
  { "readv", "a plugin's gathered reads" },
  { "write", "the device, D-Bus' eventfd, log lines" },
  { "writev", "log lines of stdio, a plugin's scattered writes" },
  { "recvfrom", "the bus socket, CAN sockets" },
  { "recvmsg", "D-Bus, and with it the next bus socket" },
  { "recvmmsg", "CAN frames in bulk" },
  { "sendto", "the bus socket, CAN sockets" },
  { "sendmsg", "the bus socket, D-Bus, the journal" },
  { "sendmmsg", "CAN frames in bulk" },
  { "getsockopt", "is a descriptor from the agent a bus socket; errors of D-Bus' socket" },
  { "getpeername", "GLib asks whether stderr is the journal" },
  { "shutdown", "leaving D-Bus" },
  { "close", "the old bus socket, the device at the end" },
  { "eventfd2", "a main context for a synchronous D-Bus call" },
  { "poll", "the main loop" },
  { "ppoll", "the main loop" },
  { "epoll_wait", "a plugin's own set of descriptors" },
  { "epoll_pwait", "a plugin's own set of descriptors" },
  { "epoll_ctl", "a plugin's own set of descriptors" },
  { "select", "libraries that still wait this way" },
  { "pselect6", "libraries that still wait this way" },
  { "timerfd_settime", "a plugin's timers" },
  { "futex", "mutexes between the main and the D-Bus thread" },
  { "clock_gettime", "time, where the vDSO is not enough" },
  { "clock_getres", "time" },
  { "clock_nanosleep", "waiting a moment" },
  { "nanosleep", "waiting a moment" },
  { "gettimeofday", "time of a log line" },
  { "time", "time of a log line" },
  { "getrandom", "seeds of hash tables and jitter" },
  { "brk", "memory" },
  { "munmap", "memory" },
  { "mremap", "memory" },
  { "madvise", "memory given back" },
  { "rt_sigaction", "a handler put back before abort()" },
  { "rt_sigprocmask", "abort(), threads that end" },
  { "rt_sigreturn", "the end of a signal handler" },
  { "sigaltstack", "threads that end under a sanitizer" },
  { "restart_syscall", "the kernel, after SIGSTOP and SIGCONT" },
  { "sched_yield", "spinning locks" },
  { "sched_getaffinity", "memory allocators that ask for the number of CPUs" },
  { "getpid", "log lines, abort()" },
  { "gettid", "abort()" },
  { "getuid", "D-Bus credentials" },
  { "geteuid", "D-Bus credentials" },
  { "getgid", "D-Bus credentials" },
  { "getegid", "D-Bus credentials" },
  { "getrusage", "a plugin's own figures" },
  { "fstat", "stdio's first look at a descriptor" },
  { "lseek", "stdio on a log file" },
  { "exit", "threads that end" },
  { "exit_group", "the end" },
  { "rseq", "threads that end" },
  { "set_robust_list", "threads that end" },
};

/* Calls that are allowed with certain arguments only. */
static int
add_restricted (scmp_filter_ctx ctx)
{
  static const unsigned long requests[] = {
    TCGETS,   /* is it a terminal: stdio, and plugins that look at their line */
    FIONREAD, /* how much waits to be read */
    TIOCOUTQ, /* how much waits to be sent */
    TIOCMGET, /* modem lines: has the far end hung up */
  };
  static const int commands[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD };
  const pid_t self = getpid ();
  int rc = 0;

  for (gsize i = 0; rc == 0 && i < G_N_ELEMENTS (requests); i++)
    rc = seccomp_rule_add (ctx, SCMP_ACT_ALLOW, SCMP_SYS (ioctl), 1, SCMP_A1 (SCMP_CMP_MASKED_EQ, 0xffffffff, requests[i]));
  /* Descriptors get flags, but no duplicates. */
  for (gsize i = 0; rc == 0 && i < G_N_ELEMENTS (commands); i++)
    rc = seccomp_rule_add (ctx, SCMP_ACT_ALLOW, SCMP_SYS (fcntl), 1, SCMP_A1 (SCMP_CMP_EQ, commands[i]));
  /* Memory, but none that could be written and run. */
  if (rc == 0)
    rc = seccomp_rule_add (ctx, SCMP_ACT_ALLOW, SCMP_SYS (mmap), 1, SCMP_A2 (SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  if (rc == 0)
    rc = seccomp_rule_add (ctx, SCMP_ACT_ALLOW, SCMP_SYS (mprotect), 1, SCMP_A2 (SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  /* fstat() of newer C libraries; a path with it shows attributes, never contents. */
  if (rc == 0)
    rc = seccomp_rule_add (
        ctx, SCMP_ACT_ALLOW, SCMP_SYS (newfstatat), 1, SCMP_A3 (SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
  /* abort() signals its own process, nobody else's. */
  if (rc == 0)
    rc = seccomp_rule_add (ctx, SCMP_ACT_ALLOW, SCMP_SYS (tgkill), 1, SCMP_A0 (SCMP_CMP_EQ, self));
  return rc;
}

static int
add_rules (scmp_filter_ctx ctx)
{
  for (gsize i = 0; i < G_N_ELEMENTS (allowed); i++)
    {
      int number = seccomp_syscall_resolve_name (allowed[i].name);
      int rc;

      if (number == __NR_SCMP_ERROR)
        continue;
      rc = seccomp_rule_add (ctx, SCMP_ACT_ALLOW, number, 0);
      if (rc != 0)
        return rc;
    }
  return add_restricted (ctx);
}

gboolean
gangway_sandbox_enter (GError **error)
{
  scmp_filter_ctx ctx = seccomp_init (SCMP_ACT_ERRNO (EPERM));
  int rc;

  if (ctx == NULL)
    {
      g_set_error_literal (error, GANGWAY_ERROR, GANGWAY_ERROR_SANDBOX, "cannot build the system-call filter");
      return FALSE;
    }
  /* The D-Bus thread runs already: one filter for all threads, or none. */
  rc = seccomp_attr_set (ctx, SCMP_FLTATR_CTL_TSYNC, 1);
  /* The kernel's own errno, not libseccomp's ECANCELED for all of them. */
  if (rc == 0)
    rc = seccomp_attr_set (ctx, SCMP_FLTATR_API_SYSRAWRC, 1);
  if (rc == 0)
    rc = add_rules (ctx);
  if (rc == 0)
    rc = seccomp_load (ctx);
  seccomp_release (ctx);
  if (rc != 0)
    {
      g_set_error (error,
                   GANGWAY_ERROR,
                   GANGWAY_ERROR_SANDBOX,
                   "cannot install the system-call filter: %s%s",
                   g_strerror (-rc),
                   rc == -EPERM || rc == -EOPNOTSUPP ? "; the unit's SystemCallFilter= must allow seccomp" : "");
      return FALSE;
    }
  return TRUE;
}
