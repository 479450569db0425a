/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Feeds systemd's watchdog (WatchdogSec= of the unit) while the process gets on with what it has begun, not
 * merely while its event loop turns. */

#include <stdint.h>
#include <systemd/sd-event.h>
#include <time.h>

/* NULL: it gets on. Else what is stuck, for the journal: something has taken longer than patience (µs)
 * beyond what it may take. Then the watchdog is not fed, and systemd starts the process anew if that lasts.
 * The text is kept until the next call. */
typedef const char *(*WatchdogStuck)(uint64_t patience, void *userdata);

/* Does nothing if the unit has no watchdog. Otherwise patience is WatchdogSec=. Call before a sandbox. */
int watchdog_start(sd_event *event, WatchdogStuck stuck, void *userdata);

/* CLOCK_MONOTONIC in µs, which stands still while the machine sleeps, as systemd's watchdog does. */
static inline uint64_t watchdog_now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * UINT64_C(1000000) + (uint64_t) t.tv_nsec / 1000;
}
