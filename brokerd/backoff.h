/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Exponential backoff with jitter, so that a fleet does not come back all at once. Microseconds. */

#include <stdint.h>

typedef struct Backoff {
        unsigned failures;
} Backoff;

/* How long to wait after one more failure: doubles from least to most, times 0.5 to 1.0 by chance, and no
 * less than the server asked for (retry_after, 0: nothing). */
uint64_t backoff_next(Backoff *backoff, uint64_t least, uint64_t most, uint64_t retry_after);

static inline void backoff_reset(Backoff *backoff) {
        backoff->failures = 0;
}

/* A number below bound by chance; not for secrets. */
uint64_t jitter(uint64_t bound);
