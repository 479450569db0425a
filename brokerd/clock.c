/* SPDX-License-Identifier: Apache-2.0 */

#include "clock.h"

#include <stdio.h>

void clock_format_rfc3339(uint64_t realtime, char ret[static CLOCK_RFC3339_SIZE]) {
        time_t seconds = (time_t) (realtime / 1000000);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        size_t n = strftime(ret, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(ret + n, CLOCK_RFC3339_SIZE - n, ".%06uZ", (unsigned) (realtime % 1000000));
}
