/* SPDX-License-Identifier: Apache-2.0 */

/* Linked between a daemon and common/sandbox.c (ld --wrap): the daemon that tests/sandbox starts is the real
 * one up to its entering, and what STREAMSIGHT_ATTACK names from there on, or, if that is one on a frame,
 * when it maps the first that it gets. Of several names each is tried by a process of its own, forked before
 * it enters. STREAMSIGHT_STEP=NAME:fail makes a step of entering fail, NAME:lie makes it do nothing and say
 * that it did; enter:lie leaves all of them out. STREAMSIGHT_FILTERED: there is a filter already, as of a
 * unit. */

#include <cap-ng.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "attack.h"
#include "sandbox.h"

static const FrameAttack *frame_attack;

int __real_sandbox_enter(const SandboxPolicy *policy, const SandboxReach *reach, char *detail);
int __wrap_sandbox_enter(const SandboxPolicy *policy, const SandboxReach *reach, char *detail);
int __real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_prctl(int option, ...);
/* By the names that _FILE_OFFSET_BITS=64 gives them. */
void *__real_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_setrlimit64(int resource, const struct rlimit *limit);
int __wrap_setrlimit64(int resource, const struct rlimit *limit);
int __real_capng_apply(capng_select_t set);
int __wrap_capng_apply(capng_select_t set);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, ...);
int __real_seccomp_load(scmp_filter_ctx filter);
int __wrap_seccomp_load(scmp_filter_ctx filter);
int __real_seccomp_rule_add_exact_array(scmp_filter_ctx filter, uint32_t action, int call, unsigned n,
                                        const struct scmp_arg_cmp *arguments);
int __wrap_seccomp_rule_add_exact_array(scmp_filter_ctx filter, uint32_t action, int call, unsigned n,
                                        const struct scmp_arg_cmp *arguments);

/* In one write(2): dprintf(3) does more than every process may. */
_noreturn_ static void report(const char *name, long result) {
        char text[128];
        int n = snprintf(text, sizeof(text), "attack %s ended with %ld\n", name, result);

        _exit(write(STDERR_FILENO, text, (size_t) n) == n ? 0 : 98);
}

/* 0: the step is to be taken; 1: it is only to say that it was; negative errno: it is to fail. */
static int step(const char *name) {
        const char *value = getenv("STREAMSIGHT_STEP");
        size_t length = strlen(name);

        if (!value || strncmp(value, name, length) != 0 || value[length] != ':')
                return 0;
        return strcmp(value + length + 1, "lie") == 0 ? 1 : -EPERM;
}

#define STEP(name, real)                                                                                    \
        ({                                                                                                  \
                int _step = step(name);                                                                     \
                if (_step < 0)                                                                              \
                        errno = -_step;                                                                     \
                _step == 0 ? (real) : _step > 0 ? 0 : -1;                                                   \
        })

/* One that allows everything. */
static void filter(void) {
        scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);

        if (!context || __real_seccomp_load(context) < 0)
                _exit(96);
        seccomp_release(context);
}

/* Returns a name in each process that is to try it. */
static const char *fork_each(const char *names) {
        char *rest = strdup(names), *name;

        while (rest && (name = strsep(&rest, " "))) {
                pid_t child = fork();
                int status;

                if (child == 0)
                        return name;
                if (child < 0 || waitpid(child, &status, 0) < 0)
                        _exit(97);
                if (WIFSIGNALED(status))
                        dprintf(STDERR_FILENO, "attack %s was ended by signal %d\n", name, WTERMSIG(status));
                else if (WEXITSTATUS(status) != 0)
                        dprintf(STDERR_FILENO, "attack %s has status %d\n", name, WEXITSTATUS(status));
        }
        _exit(0);
}

int __wrap_sandbox_enter(const SandboxPolicy *policy, const SandboxReach *reach, char *detail) {
        const char *names = getenv("STREAMSIGHT_ATTACK");
        int r;

        for (const FrameAttack *attack = frame_attacks; names && attack->name; attack++)
                if (strcmp(attack->name, names) == 0)
                        frame_attack = attack;
        if (names && !frame_attack) {
                attack_prepare();
                if (strchr(names, ' '))
                        names = fork_each(names);
        }
        if (getenv("STREAMSIGHT_FILTERED"))
                filter();
        r = STEP("enter", __real_sandbox_enter(policy, reach, detail));
        if (r < 0 || !names || frame_attack)
                return r;
        for (const Attack *attack = attacks; attack->name; attack++)
                if (strcmp(attack->name, names) == 0)
                        report(names, attack->run());
        _exit(99);
}

void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
        if (frame_attack && fd >= 0 && (flags & MAP_TYPE) == MAP_SHARED)
                report(frame_attack->name, frame_attack->run(fd));
        return __real_mmap64(address, size, protection, flags, fd, offset);
}

int __wrap_prctl(int option, ...) {
        unsigned long a[4];
        va_list arguments;

        va_start(arguments, option);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                a[i] = va_arg(arguments, unsigned long);
        va_end(arguments);
        const char *name = option == PR_SET_NO_NEW_PRIVS ? "no_new_privs"
                           : option == PR_SET_DUMPABLE   ? "dumpable"
                           : option == PR_CAPBSET_DROP   ? "bounding"
                                                         : "-";
        return STEP(name, __real_prctl(option, a[0], a[1], a[2], a[3]));
}

int __wrap_setrlimit64(int resource, const struct rlimit *limit) {
        return STEP(resource == RLIMIT_CORE ? "core" : "descriptors", __real_setrlimit64(resource, limit));
}

int __wrap_capng_apply(capng_select_t set) {
        return STEP("capabilities", __real_capng_apply(set));
}

long __wrap_syscall(long number, ...) {
        va_list arguments;
        long a[6];

        va_start(arguments, number);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                a[i] = va_arg(arguments, long);
        va_end(arguments);
        const char *name = number == SYS_landlock_create_ruleset               ? a[0] ? "rules" : "landlock"
                           : number == SYS_landlock_restrict_self && a[0] >= 0 ? "restrict"
                                                                               : "-";
        return STEP(name, __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

int __wrap_seccomp_load(scmp_filter_ctx filter) {
        int r = step("load");

        return r == 0 ? __real_seccomp_load(filter) : r > 0 ? 0 : r;
}

int __wrap_seccomp_rule_add_exact_array(scmp_filter_ctx filter, uint32_t action, int call, unsigned n,
                                        const struct scmp_arg_cmp *arguments) {
        int r = step("filter");

        return r == 0 ? __real_seccomp_rule_add_exact_array(filter, action, call, n, arguments) : r;
}
