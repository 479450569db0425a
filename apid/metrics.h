/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What apid counts, for all threads, and how it is written down: OpenMetrics 1.0. No label has a value that
 * a client chose. */

#include "request.h"

typedef enum Metric {
        METRIC_DATABASE_FAILURES,
        METRIC_REDIS_FAILURES,
        METRIC_REQUESTS_UNDER_WAY, /* this and the next two go up and down */
        METRIC_USERS_WAITING,
        METRIC_LOGINS_WAITING,
        METRIC_DRAINING,
        _METRIC_MAX,
} Metric;

void metrics_count(Metric metric);
void metrics_add(Metric metric, int change);
long metrics_get(Metric metric);

/* A request was answered, so many microseconds after it was there. route: NULL if there is no such path. */
void metrics_answered(const Route *route, unsigned status, long long microseconds);

/* All of it; the caller's. */
int metrics_format(char **ret, size_t *ret_size) _must_check_;
