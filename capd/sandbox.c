/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <xf86drm.h>

#include "log.h"
#include "policy/sandbox/capd-ioctls.h"

/* The bounding set is the unit's to empty (CapabilityBoundingSet=), since that takes CAP_SETPCAP; started by
 * hand as root, capd has that. */
static int drop_bounding_set(void) {
        for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
                if (capability != CAP_SYS_ADMIN && prctl(PR_CAPBSET_READ, capability) == 1 &&
                    prctl(PR_CAPBSET_DROP, capability) < 0)
                        return log_error_errno(errno,
                                               "capd could get the capability %s: its unit needs "
                                               "CapabilityBoundingSet=CAP_SYS_ADMIN. (%m)",
                                               capng_capability_to_name((unsigned) capability));
        return 0;
}

static int drop_capabilities(void) {
        capng_clear(CAPNG_SELECT_ALL);
        if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN) < 0 ||
            capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) < 0)
                return log_error_errno(EPERM,
                                       "capd has no CAP_SYS_ADMIN to keep: its unit needs "
                                       "AmbientCapabilities=CAP_SYS_ADMIN.");

        if (capng_get_caps_process() < 0)
                return log_error_errno(EPERM, "Cannot read capd's own capabilities.");
        for (unsigned capability = 0; capability <= CAP_LAST_CAP; capability++) {
                int wanted = capability == CAP_SYS_ADMIN;

                if (capng_have_capability(CAPNG_EFFECTIVE, capability) != wanted ||
                    capng_have_capability(CAPNG_PERMITTED, capability) != wanted ||
                    capng_have_capability(CAPNG_INHERITABLE, capability) != 0)
                        return log_error_errno(EPERM, "capd still has, or lacks, the capability %s.",
                                               capng_capability_to_name(capability));
        }
        return 0;
}

int sandbox_drop_privileges(void) {
        static const struct rlimit no_core = { 0, 0 };
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return log_error_errno(errno, "Cannot give up new privileges: %m");
        r = drop_bounding_set();
        if (r < 0)
                return r;
        r = drop_capabilities();
        if (r < 0)
                return r;
        /* Last of all: a change of credentials sets it to fs.suid_dumpable. */
        if (setrlimit(RLIMIT_CORE, &no_core) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return log_error_errno(errno, "Cannot forbid core files: %m");
        return 0;
}

/* Arguments are compared in their low 32 bits: int arguments come sign-extended from some callers and
 * zero-extended from others, and a plain SCMP_CMP_EQ would see two different numbers. */
#define BITS(argument, mask, value)                                                                         \
        { (argument), SCMP_CMP_MASKED_EQ, (mask), (value) }
#define INT(argument, value) BITS(argument, UINT32_MAX, (uint32_t) (value))
#define RULE(syscall, ...)                                                                                  \
        {                                                                                                   \
                .name = #syscall, .number = SCMP_SYS(syscall), .arguments = { __VA_ARGS__ }                 \
        }

typedef struct Rule {
        const char *name;
        int number;
        struct scmp_arg_cmp arguments[3]; /* as many as have an operator */
} Rule;

static const Rule rules[] = {
        /* The event loop: signalfd, which it also changes, and the watchdog's timerfd are read. */
        RULE(signalfd4),
        RULE(epoll_wait),
        RULE(epoll_pwait),
        RULE(epoll_pwait2),
        RULE(epoll_ctl),
        RULE(timerfd_settime),
        RULE(clock_gettime),
        RULE(read),
        RULE(close),
        RULE(restart_syscall),
        RULE(rt_sigreturn),

        /* The two sockets; wire-socket.c keeps a spare descriptor. */
        RULE(accept4),
        RULE(recvmsg),
        RULE(sendmsg),
        RULE(getsockopt, INT(1, SOL_SOCKET)),
        RULE(fcntl, INT(1, F_DUPFD_CLOEXEC)),

        /* Journal (stderr where there is none), and sd_notify(3), which makes a socket for each message and
         * compares its ids. */
        RULE(write, INT(0, STDERR_FILENO)),
        RULE(socket, INT(0, AF_UNIX), INT(1, SOCK_DGRAM | SOCK_CLOEXEC), INT(2, 0)),
        RULE(setsockopt, INT(1, SOL_SOCKET), INT(2, SO_SNDBUF)),
        RULE(setsockopt, INT(1, SOL_SOCKET), INT(2, SO_SNDBUFFORCE)),
        RULE(getuid),
        RULE(geteuid),
        RULE(getgid),
        RULE(getegid),

        /* A dma-buf's identity. */
        RULE(fstat),

        /* The copy of what cannot be exported: mapped to be read, written into a memfd that is sealed then.
         * A card or a dma-buf is never mapped to be written. */
        RULE(mmap, INT(2, PROT_READ), INT(3, MAP_SHARED)),
        RULE(memfd_create, INT(1, MFD_ALLOW_SEALING)),
        RULE(pwrite64),
        RULE(fcntl, INT(1, F_ADD_SEALS)),

        /* malloc(): memory of its own, never executable. */
        RULE(brk),
        RULE(mmap, BITS(2, PROT_EXEC, 0), BITS(3, MAP_ANONYMOUS, MAP_ANONYMOUS)),
        RULE(munmap),
        RULE(mremap),
        RULE(madvise),
        RULE(getrandom),
        RULE(futex),

        /* The way out, abort() included. */
        RULE(getpid),
        RULE(gettid),
        RULE(tgkill),
        RULE(rt_sigaction),
        RULE(rt_sigprocmask),
        RULE(exit),
        RULE(exit_group),
};

static int allow(scmp_filter_ctx filter, const Rule *rule) {
        unsigned n = 0;
        int r;

        while (n < ELEMENTSOF(rule->arguments) && rule->arguments[n].op != _SCMP_CMP_MIN)
                n++;
        r = seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, rule->number, n, rule->arguments);
        if (r < 0)
                return log_error_errno(r, "Cannot allow the system call %s: %m", rule->name);
        return 0;
}

DEFINE_CLEANUP(scmp_filter_ctx, filter_releasep, seccomp_release)

int sandbox_filter(void) {
        _cleanup_(filter_releasep) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r;

        if (!filter)
                return log_error_errno(ENOMEM, "Cannot make a system call filter: %m");
        for (size_t i = 0; i < ELEMENTSOF(rules); i++) {
                r = allow(filter, &rules[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(capd_ioctls); i++) {
                const Rule rule = RULE(ioctl, INT(1, capd_ioctls[i].request));

                r = allow(filter, &rule);
                if (r < 0)
                        return r;
        }
        /* sd_journal_sendv(3) falls back on it when the journal's socket is full: the message is lost then.
         */
        r = seccomp_rule_add_exact(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(memfd_create), 1,
                                   SCMP_A1(SCMP_CMP_NE, MFD_ALLOW_SEALING));
        if (r >= 0)
                r = seccomp_load(filter);
        if (r < 0)
                return log_error_errno(r, "Cannot install the system call filter: %m");
        return 0;
}
