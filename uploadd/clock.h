/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Clocks in microseconds. */

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now(clockid_t id) {
        struct timespec t;

        clock_gettime(id, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* CLOCK_BOOTTIME, as of wire.h's times. */
static inline uint64_t boottime_now(void) {
        return clock_now(CLOCK_BOOTTIME);
}

/* Since the epoch, UTC. */
static inline uint64_t realtime_now(void) {
        return clock_now(CLOCK_REALTIME);
}
