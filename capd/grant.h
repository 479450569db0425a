/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The rule that no frame leaves without a live grant, as pure functions of the grant and the time. Times are
 * nanoseconds of CLOCK_BOOTTIME, which counts suspend: a machine does not wake up with a grant of yesterday.
 */

#include <stdint.h>

#include "cleanup.h"
#include "wire.h"

/* Outputs have ids below this: bits of wire_control_grant.outputs. */
#define GRANT_OUTPUTS 64U

/* All zero: no grant. */
typedef struct Grant {
        uint64_t outputs, min_interval, expires; /* as of wire_control_grant */
        uint64_t served;                         /* bit n: last[n] is set */
        uint64_t last[GRANT_OUTPUTS]; /* outlives the grant, so that renewing it resets no interval */
} Grant;

/* Replaces the grant. One that is refused leaves none behind: -EINVAL it is wider than the protocol allows
 * (interval too short, lifetime too long) or its reserved field is set; -ETIME it has expired on its way,
 * which suspend can do to the best of brokers. */
int grant_set(Grant *grant, const struct wire_control_grant *message, uint64_t now) _must_check_;

void grant_revoke(Grant *grant);

/* When the grant ends, or 0 if none is live at now. */
uint64_t grant_expires(const Grant *grant, uint64_t now);

/* WIRE_REASON_NONE: a frame of output may leave now. Else WIRE_REASON_NO_GRANT, or WIRE_REASON_TOO_SOON and
 * when to ask again in *ret_not_before (0 with every other answer). */
enum wire_reason grant_check(const Grant *grant, uint32_t output, uint64_t now, uint64_t *ret_not_before);

/* When to ask again for what the grant allows, but could not be had at now. */
uint64_t grant_later(const Grant *grant, uint64_t now);

/* A frame of output, which grant_check() allowed, has left, or word that nothing has flipped. */
void grant_served(Grant *grant, uint32_t output, uint64_t now);

/* That frame is taken back: another one of output may leave at once. */
void grant_again(Grant *grant, uint32_t output);
