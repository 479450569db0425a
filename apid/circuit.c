/* SPDX-License-Identifier: Apache-2.0 */

#include "circuit.h"

#include <time.h>

#define LONG_MS  500
#define PAUSE_MS 1000
#define TRIAL_MS 20000 /* longer than anybody who tries can take */

long long monotonic_us(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (long long) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

long long monotonic_ms(void) {
        return monotonic_us() / 1000;
}

bool circuit_enter(Circuit *circuit, long long *ret_entered) {
        long long until = atomic_load(&circuit->refusing_until), now = monotonic_ms();

        if (until != 0 && (now < until || !atomic_compare_exchange_strong(&circuit->refusing_until, &until,
                                                                          now + TRIAL_MS)))
                return false;
        *ret_entered = now;
        return true;
}

void circuit_leave(Circuit *circuit, long long entered, bool success) {
        long long now = monotonic_ms();

        atomic_store(&circuit->refusing_until, success || now - entered < LONG_MS ? 0 : now + PAUSE_MS);
}
