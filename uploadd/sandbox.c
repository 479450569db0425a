/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <linux/dma-buf.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "cleanup.h"

int sandbox_prepare(void) {
        const struct rlimit none = {};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
            setrlimit(RLIMIT_CORE, &none) < 0)
                return -errno;
        return 0;
}

static const int calls[] = {
        /* memory */
        SCMP_SYS(brk),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        /* descriptors that are already there */
        SCMP_SYS(read),
        SCMP_SYS(readv),
        SCMP_SYS(write),
        SCMP_SYS(writev),
        SCMP_SYS(close),
        SCMP_SYS(lseek),
        SCMP_SYS(fstat), /* a dma-buf's identity; glibc's own is newfstatat(), which takes paths */
        SCMP_SYS(fcntl),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(pipe2),
        /* new anonymous ones: finished segments, the event loop */
        SCMP_SYS(memfd_create),
        SCMP_SYS(eventfd2),
        SCMP_SYS(epoll_create1),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_wait),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_pwait2),
        SCMP_SYS(timerfd_create),
        SCMP_SYS(timerfd_settime),
        /* sockets */
        SCMP_SYS(connect),
        SCMP_SYS(sendto),
        SCMP_SYS(sendmsg),
        SCMP_SYS(recvfrom),
        SCMP_SYS(recvmsg),
        SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt),
        SCMP_SYS(getsockname),
        SCMP_SYS(getpeername),
        SCMP_SYS(shutdown),
        /* the process itself */
        SCMP_SYS(clock_gettime),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(time),
        SCMP_SYS(getrandom),
        SCMP_SYS(futex),
        SCMP_SYS(getpid),
        SCMP_SYS(gettid),
        SCMP_SYS(getuid),
        SCMP_SYS(geteuid),
        SCMP_SYS(getgid), /* sd_notify(3) compares its ids */
        SCMP_SYS(getegid),
        SCMP_SYS(sysinfo),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(signalfd4),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
};

#define ALLOW(call, ...)                                                                                    \
        do {                                                                                                \
                const struct scmp_arg_cmp _arguments[] = { __VA_ARGS__ };                                   \
                r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(call), ELEMENTSOF(_arguments),  \
                                           _arguments);                                                     \
                if (r < 0)                                                                                  \
                        return r;                                                                           \
        } while (0)

/* Comparisons are masked to the 32 bits that the kernel looks at: the upper half may hold anything. */
static int allow_by_argument(scmp_filter_ctx filter) {
        static const int families[] = { AF_UNIX, AF_INET, AF_INET6 };
        int r;

        /* Private memory, and shared memory for reading. MAP_TYPE is 0xf. */
        ALLOW(mmap, SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, 0));
        ALLOW(mmap, SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
              SCMP_A3_32(SCMP_CMP_MASKED_EQ, MAP_TYPE, MAP_PRIVATE));
        /* Making shared memory writable later would be the same as mapping it so. */
        ALLOW(mprotect, SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, 0));
        ALLOW(ioctl, SCMP_A1_32(SCMP_CMP_MASKED_EQ, 0xffffffff, (uint32_t) DMA_BUF_IOCTL_SYNC));
        for (size_t i = 0; i < ELEMENTSOF(families); i++)
                ALLOW(socket, SCMP_A0_32(SCMP_CMP_MASKED_EQ, 0xffffffff, (uint32_t) families[i]));
        ALLOW(socketpair, SCMP_A0_32(SCMP_CMP_MASKED_EQ, 0xffffffff, AF_UNIX));
        return 0;
}

static void filter_releasep(scmp_filter_ctx *filter) {
        if (*filter)
                seccomp_release(*filter);
}

int sandbox_enter(void) {
        _cleanup_(filter_releasep) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r;

        if (!filter)
                return -ENOMEM;
        r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        for (size_t i = 0; i < ELEMENTSOF(calls) && r >= 0; i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
        if (r >= 0)
                r = allow_by_argument(filter);
        return r < 0 ? r : seccomp_load(filter);
}
