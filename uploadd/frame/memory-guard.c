/* SPDX-License-Identifier: Apache-2.0 */
#include "memory-guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

#include "cleanup.h"

static struct {
        const GuardedMemory *memories;
        volatile sig_atomic_t n; /* 0: nothing is being read */
        sigjmp_buf back;
} guard;

static void on_bus_error(int signal_number, siginfo_t *info, void *context _unused_) {
        uintptr_t address = (uintptr_t) info->si_addr;

        /* si_code above 0: the kernel's, so that si_addr is one (sigaction(2)). */
        for (int i = 0; i < guard.n && info->si_code > 0; i++) {
                uintptr_t start = (uintptr_t) guard.memories[i].start;
                if (address >= start && address - start < guard.memories[i].size)
                        siglongjmp(guard.back, 1);
        }
        /* The access is tried again and kills; so does a signal that was sent. */
        (void) signal(signal_number, SIG_DFL);
        if (info->si_code <= 0)
                (void) raise(signal_number);
}

int memory_guard_init(void) {
        const struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

        return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

int memory_guarded(const GuardedMemory *memories, size_t n, void (*read)(void *userdata), void *userdata) {
        int r = 0;

        guard.memories = memories;
        /* With the signal mask, in which the handler has blocked SIGBUS. */
        if (sigsetjmp(guard.back, 1) == 0) {
                guard.n = (sig_atomic_t) n;
                read(userdata);
        } else
                r = -EFAULT;
        guard.n = 0;
        return r;
}
