/* SPDX-License-Identifier: Apache-2.0 */

/* Linked to uploadd (ld --wrap): 10 s after its start, as if the machine had slept for the 3 s before. For
 * it, CLOCK_MONOTONIC has stood still meanwhile; its libraries, which count its timers, have another. */

#include <stdint.h>
#include <time.h>

#define BEGIN INT64_C(10) /* s */
#define SLEPT 3

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t) {
        static int64_t start;
        int r = __real_clock_gettime(clock, t);

        if (r < 0 || clock != CLOCK_MONOTONIC)
                return r;
        if (start == 0)
                start = t->tv_sec;
        if (t->tv_sec > start + BEGIN)
                t->tv_sec -= SLEPT;
        return 0;
}
