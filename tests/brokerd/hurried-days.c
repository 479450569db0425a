/* SPDX-License-Identifier: Apache-2.0 */

/* Linked to brokerd (ld --wrap): CLOCK_BOOTTIME goes by ten thousand times as fast for it, and for the
 * timers that it sets by it. A day takes nine seconds. */

#include <systemd/sd-event.h>
#include <time.h>

#define FACTOR 10000

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __real_sd_event_source_set_time(sd_event_source *source, uint64_t usec);
int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec);

/* ns of CLOCK_BOOTTIME, when it was first asked for. */
static int64_t start;

int __wrap_clock_gettime(clockid_t clock, struct timespec *t) {
        int r = __real_clock_gettime(clock, t);

        if (r < 0 || clock != CLOCK_BOOTTIME)
                return r;
        const int64_t now = (int64_t) t->tv_sec * 1000000000 + t->tv_nsec;
        if (start == 0)
                start = now;
        const int64_t hurried = start + (now - start) * FACTOR;
        *t = (struct timespec){ .tv_sec = hurried / 1000000000, .tv_nsec = hurried % 1000000000 };
        return 0;
}

int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec) {
        const uint64_t begin = (uint64_t) start / 1000;
        clockid_t clock;

        if (sd_event_source_get_time_clock(source, &clock) >= 0 && clock == CLOCK_BOOTTIME &&
            usec != UINT64_MAX && usec > begin)
                usec = begin + (usec - begin) / FACTOR;
        return __real_sd_event_source_set_time(source, usec);
}
