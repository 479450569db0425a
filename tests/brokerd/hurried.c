/* SPDX-License-Identifier: Apache-2.0 */

/* Linked to brokerd (ld --wrap): CLOCK_MONOTONIC goes by a hundred times as fast for it, and for its
 * libraries, which count its timers, as ever. What it does every ten seconds comes far too late. */

#include <stdint.h>
#include <time.h>

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t) {
        static int64_t start;
        int r = __real_clock_gettime(clock, t);

        if (r < 0 || clock != CLOCK_MONOTONIC)
                return r;
        const int64_t now = (int64_t) t->tv_sec * 1000000000 + t->tv_nsec;
        if (start == 0)
                start = now;
        const int64_t hurried = start + (now - start) * 100;
        *t = (struct timespec){ .tv_sec = hurried / 1000000000, .tv_nsec = hurried % 1000000000 };
        return 0;
}
