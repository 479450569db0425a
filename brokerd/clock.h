/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The two clocks: CLOCK_BOOTTIME for intervals, which go on while the machine sleeps, and CLOCK_REALTIME for
 * what is told to others. Microseconds. */

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read(clockid_t id) {
        struct timespec now;

        (void) clock_gettime(id, &now); /* cannot fail for these two */
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

static inline uint64_t clock_boottime(void) {
        return clock_read(CLOCK_BOOTTIME);
}

static inline uint64_t clock_realtime(void) {
        return clock_read(CLOCK_REALTIME);
}

#define CLOCK_RFC3339_SIZE 40U
/* The last moment that RFC 3339 can say: its years have four digits. */
#define CLOCK_REALTIME_MAX UINT64_C(253402300799999999)

/* RFC 3339 in UTC with microseconds: "2024-05-01T12:00:00.000000Z". */
void clock_format_rfc3339(uint64_t realtime, char ret[static CLOCK_RFC3339_SIZE]);
