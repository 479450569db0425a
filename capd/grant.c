/* SPDX-License-Identifier: Apache-2.0 */
#include "grant.h"

int grant_set(Grant *grant, const struct wire_control_grant *message, uint64_t now) {
        grant_revoke(grant);

        if (message->reserved != 0 || message->min_interval < WIRE_GRANT_INTERVAL_MIN)
                return -EINVAL;
        if (message->expires <= now)
                return -ETIME;
        if (message->expires - now > WIRE_GRANT_LIFETIME_MAX)
                return -EINVAL;

        grant->outputs = message->outputs;
        grant->min_interval = message->min_interval;
        grant->expires = message->expires;
        return 0;
}

void grant_revoke(Grant *grant) {
        grant->outputs = 0;
        grant->min_interval = 0;
        grant->expires = 0;
}

uint64_t grant_expires(const Grant *grant, uint64_t now) {
        return now < grant->expires ? grant->expires : 0;
}

uint64_t grant_later(const Grant *grant, uint64_t now) {
        uint64_t later;

        return __builtin_add_overflow(now, grant->min_interval, &later) ? UINT64_MAX : later;
}

enum wire_reason grant_check(const Grant *grant, uint32_t output, uint64_t now, uint64_t *ret_not_before) {
        *ret_not_before = 0;

        if (output >= GRANT_OUTPUTS || !(grant->outputs & UINT64_C(1) << output) ||
            grant_expires(grant, now) == 0)
                return WIRE_REASON_NO_GRANT;

        if (grant->served & UINT64_C(1) << output) {
                uint64_t not_before = grant_later(grant, grant->last[output]);

                if (now < not_before) {
                        *ret_not_before = not_before;
                        return WIRE_REASON_TOO_SOON;
                }
        }
        return WIRE_REASON_NONE;
}

void grant_served(Grant *grant, uint32_t output, uint64_t now) {
        assert(output < GRANT_OUTPUTS);
        grant->last[output] = now;
        grant->served |= UINT64_C(1) << output;
}

void grant_again(Grant *grant, uint32_t output) {
        if (output < GRANT_OUTPUTS)
                grant->served &= ~(UINT64_C(1) << output);
}
