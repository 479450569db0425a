/* SPDX-License-Identifier: Apache-2.0 */

/* Linked to uploadd (ld --wrap): 10 s after its start, as if the machine had slept for the 3 s before, and
 * 10 s after that, as if somebody had set the clock an hour back. For it, CLOCK_MONOTONIC has stood still
 * meanwhile; its libraries, which count its timers, have another. */

#include <stdint.h>
#include <time.h>

#define BEGIN     INT64_C(10) /* s */
#define SLEPT     3
#define SET_AFTER INT64_C(10)
#define SET_BACK  3600

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t) {
        static int64_t start;
        struct timespec monotonic;
        int r = __real_clock_gettime(clock, t);

        if (r < 0 || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) ||
            __real_clock_gettime(CLOCK_MONOTONIC, &monotonic) < 0)
                return r;
        if (start == 0)
                start = monotonic.tv_sec;
        if (clock == CLOCK_MONOTONIC && monotonic.tv_sec > start + BEGIN)
                t->tv_sec -= SLEPT;
        if (clock == CLOCK_REALTIME && monotonic.tv_sec > start + BEGIN + SET_AFTER)
                t->tv_sec -= SET_BACK;
        return 0;
}
