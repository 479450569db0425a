/* SPDX-License-Identifier: Apache-2.0 */

#include "backoff.h"

#include <sys/random.h>

uint64_t jitter(uint64_t bound) {
        uint64_t random = 0;

        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
                random = (uintptr_t) &random;
        return bound > 0 ? random % bound : 0;
}

uint64_t backoff_next(Backoff *backoff, uint64_t least, uint64_t most, uint64_t retry_after) {
        uint64_t delay = least;

        for (unsigned i = 0; i < backoff->failures && delay < most; i++)
                delay *= 2;
        backoff->failures++;
        if (delay > most)
                delay = most;
        delay = delay / 2 + jitter(delay / 2);
        return delay > retry_after ? delay : retry_after;
}
