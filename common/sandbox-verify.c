/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "sandbox-steps.h"

#define TEXT_SIZE 8192U /* proc_pid_status(5) has about 1.5 KiB */

/* The value after "\nname", by a scanf format; false if it is not there exactly so. */
static bool field(const char *text, const char *name, const char *format, void *first, void *second) {
        const char *line = strstr(text, name);

        return line && sscanf(line + strlen(name), format, first, second) == (second ? 2 : 1);
}

static int read_text(int fd, char text[TEXT_SIZE], char *detail) {
        ssize_t n = read(fd, text, TEXT_SIZE - 1);

        if (n <= 0 || n == TEXT_SIZE - 1)
                return SANDBOX_FAIL(detail, n < 0 ? errno : EIO, "cannot read its own state");
        text[n] = '\0';
        return 0;
}

int sandbox_verify_begin(SandboxState *state, char *detail) {
        static const char *const sets[] = { "\nCapPrm:", "\nCapEff:", "\nCapInh:", "\nCapAmb:" };
        _cleanup_close_ int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        char text[TEXT_SIZE];
        int r;

        if (fd < 0)
                return SANDBOX_FAIL(detail, errno, "cannot see its own state: /proc is not mounted");
        r = read_text(fd, text, detail);
        if (r < 0)
                return r;
        if (!field(text, "\nSeccomp_filters:", "%u", &state->n_filters, NULL))
                return SANDBOX_FAIL(detail, ENOSYS, "the kernel does not count filters (Linux 5.9 does)");

        state->has_capabilities = false;
        for (size_t i = 0; i < ELEMENTSOF(sets); i++) {
                uint64_t set = UINT64_MAX;
                (void) field(text, sets[i], "%" SCNx64, &set, NULL);
                state->has_capabilities = state->has_capabilities || set != 0;
        }

        /* Opened anew: what a descriptor of /proc shows may be of the time when it was first read. */
        state->status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        state->limits_fd = open("/proc/self/limits", O_RDONLY | O_CLOEXEC);
        if (state->status_fd < 0 || state->limits_fd < 0)
                return SANDBOX_FAIL(detail, errno, "cannot see its own state");
        return 0;
}

static int verify_status(const char *text, unsigned n_filters, int capability, char *detail) {
        static const char *const exact[] = { "\nCapPrm:", "\nCapEff:" }, *const none[] = { "\nCapInh:",
                                                                                           "\nCapAmb:" };
        uint64_t wanted = capability >= 0 ? UINT64_C(1) << capability : 0, set;
        unsigned number;

        for (size_t i = 0; i < ELEMENTSOF(exact); i++)
                if (!field(text, exact[i], "%" SCNx64, &set, NULL) || set != wanted)
                        return SANDBOX_FAIL(detail, EPERM,
                                            "its capabilities are not what they should be (%s)",
                                            exact[i] + 1);
        for (size_t i = 0; i < ELEMENTSOF(none); i++)
                if (!field(text, none[i], "%" SCNx64, &set, NULL) || set != 0)
                        return SANDBOX_FAIL(detail, EPERM, "it could pass capabilities on (%s)",
                                            none[i] + 1);
        if (!field(text, "\nCapBnd:", "%" SCNx64, &set, NULL) || (set & ~wanted) != 0)
                return SANDBOX_FAIL(detail, EPERM, "it could get capabilities (CapBnd)");
        if (!field(text, "\nNoNewPrivs:", "%u", &number, NULL) || number != 1)
                return SANDBOX_FAIL(detail, EPERM, "it could get new privileges");
        if (!field(text, "\nThreads:", "%u", &number, NULL) || number != 1)
                return SANDBOX_FAIL(detail, EPERM, "it has threads that are not confined");
        if (!field(text, "\nSeccomp:", "%u", &number, NULL) || number != 2 ||
            !field(text, "\nSeccomp_filters:", "%u", &number, NULL) || number != n_filters + 1)
                return SANDBOX_FAIL(detail, EPERM, "its system call filter is not in force");
        return 0;
}

static int verify_limits(const char *text, unsigned n_descriptors, char *detail) {
        unsigned soft, hard;

        if (!field(text, "\nMax core file size", "%u %u", &soft, &hard) || soft != 0 || hard != 0)
                return SANDBOX_FAIL(detail, EPERM, "it could leave a core file");
        if (!field(text, "\nMax open files", "%u %u", &soft, &hard) || soft != n_descriptors ||
            hard != n_descriptors)
                return SANDBOX_FAIL(detail, EPERM, "it could open more than %u descriptors", n_descriptors);
        return 0;
}

int sandbox_verify(SandboxState *state, const SandboxPolicy *policy, char *detail) {
        _cleanup_close_ int status_fd = state->status_fd, limits_fd = state->limits_fd;
        char text[TEXT_SIZE];
        int r;

        r = read_text(status_fd, text, detail);
        if (r >= 0)
                r = verify_status(text, state->n_filters, policy->capability, detail);
        if (r >= 0)
                r = read_text(limits_fd, text, detail);
        if (r >= 0)
                r = verify_limits(text, policy->n_descriptors, detail);
        return r;
}
