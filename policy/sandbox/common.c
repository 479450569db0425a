/* SPDX-License-Identifier: Apache-2.0 */

/* What every process needs to wait, to allocate, to tell the time, to log and to end. */

#include <sys/mman.h>

#include "tables.h"

const SandboxCall sandbox_common_calls[] = {
        ALLOW(epoll_wait, "the event loop"),
        ALLOW(epoll_pwait, "the event loop"),
        ALLOW(epoll_pwait2, "the event loop"),
        ALLOW(epoll_ctl, "the event loop"),
        ALLOW(timerfd_settime, "timers"),
        ALLOW(signalfd4, "SIGTERM as a descriptor, which sd-event also changes"),
        ALLOW(clock_gettime, "the time"),
        ALLOW(read, "timers, signals, its own state in /proc"),
        ALLOW(close, "what is done with"),
        ALLOW(restart_syscall, "what SIGSTOP interrupted"),
        ALLOW(rt_sigreturn, "the signal handlers of libraries"),

        ALLOW(brk, "malloc()"),
        ALLOW(munmap, "free()"),
        ALLOW(mremap, "realloc()"),
        ALLOW(madvise, "free(); as CAP_SYS_ADMIN it could break memory", IS(2, MADV_DONTNEED)),
        ALLOW(getrandom, "seeds of hash tables, TLS"),
        ALLOW(futex, "locks within libraries"),

        ALLOW(recvmsg, "the sockets"),

        ALLOW(getpid, "sd-event asks whether it was forked"),
        ALLOW(gettid, "abort()"),
        ALLOW(tgkill, "abort(): itself alone", IS_SELF(0)),
        ALLOW(rt_sigaction, "abort(); libcurl ignores SIGPIPE"),
        ALLOW(rt_sigprocmask, "abort()"),
        ALLOW(exit, "the way out"),
        ALLOW(exit_group, "the way out"),
#ifdef __SANITIZE_ADDRESS__
        ALLOW(sigaltstack, "the sanitizers' reports"),
        ALLOW(sched_yield, "the sanitizers' locks"),
#endif
        {},
};
