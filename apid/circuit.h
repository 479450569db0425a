/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A server that lets its callers wait is not asked by all of them: after a failure that took long everybody
 * is refused at once for a moment, then one may try while the others are refused on. A failure that is quick
 * costs nobody anything, and changes nothing. */

#include <stdatomic.h>
#include <stdbool.h>

#include "cleanup.h"

typedef struct Circuit {
        atomic_llong refusing_until; /* milliseconds of CLOCK_MONOTONIC; 0: not refusing */
} Circuit;

long long monotonic_us(void);
long long monotonic_ms(void);

/* False: refused. Else circuit_leave() must follow, with what is in *ret_entered. */
bool circuit_enter(Circuit *circuit, long long *ret_entered) _must_check_;
void circuit_leave(Circuit *circuit, long long entered, bool success);
