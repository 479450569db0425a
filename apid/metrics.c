/* SPDX-License-Identifier: Apache-2.0 */

#include "metrics.h"

#include <stdatomic.h>
#include <stdio.h>

#include "password.h"
#include "routes.h"

#define ROUTES_MAX 128U /* the last stands for what is no route */

/* As many as the API knows; the last stands for others. */
static const unsigned statuses[] = { 200, 201, 204, 304, 400, 401, 403, 404, 405,
                                     409, 413, 415, 422, 429, 500, 503, 0 };
/* Microseconds: from a presigned URL's to the most that anything takes. */
static const long long bounds[] = { 500,    1000,   2500,   5000,    10000,   25000,   50000,
                                    100000, 250000, 500000, 1000000, 2500000, 10000000 };

static const struct {
        const char *name, *type, *help;
} descriptions[_METRIC_MAX] = {
        [METRIC_DATABASE_FAILURES] = { "apid_database_failures", "counter",
                                       "Calls that the database did not answer" },
        [METRIC_REDIS_FAILURES] = { "apid_redis_failures", "counter", "Commands that Redis did not answer" },
        [METRIC_REQUESTS_UNDER_WAY] = { "apid_requests_under_way", "gauge",
                                        "Requests begun and not yet answered" },
        [METRIC_USERS_WAITING] = { "apid_users_waiting", "gauge",
                                   "Requests of people that wait for a worker" },
        [METRIC_LOGINS_WAITING] = { "apid_logins_waiting", "gauge", "Passwords that wait to be hashed" },
        [METRIC_DRAINING] = { "apid_draining", "gauge", "Whether it is about to end" },
};

static atomic_ulong answers[ROUTES_MAX][ELEMENTSOF(statuses)];
static atomic_ulong durations[ELEMENTSOF(bounds) + 1], duration_sum;
static atomic_long values[_METRIC_MAX];

void metrics_add(Metric metric, int change) {
        atomic_fetch_add_explicit(&values[metric], change, memory_order_relaxed);
}

void metrics_count(Metric metric) {
        metrics_add(metric, 1);
}

long metrics_get(Metric metric) {
        return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

void metrics_answered(const Route *route, unsigned status, long long microseconds) {
        size_t r = 0, s = 0, d = 0;

        while (r < ROUTES_MAX - 1 && route_at(r) && route_at(r) != route)
                r++;
        while (s < ELEMENTSOF(statuses) - 1 && statuses[s] != status)
                s++;
        while (d < ELEMENTSOF(bounds) && bounds[d] < microseconds)
                d++;
        atomic_fetch_add_explicit(&answers[route ? r : ROUTES_MAX - 1][s], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&durations[d], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&duration_sum, (unsigned long) microseconds, memory_order_relaxed);
}

static void print_answers(FILE *f) {
        fputs("# HELP apid_requests Requests answered, by route and status (0: another)\n"
              "# TYPE apid_requests counter\n",
              f);
        for (size_t r = 0; r < ROUTES_MAX; r++) {
                const Route *route = r < ROUTES_MAX - 1 ? route_at(r) : NULL;
                for (size_t s = 0; s < ELEMENTSOF(statuses); s++) {
                        unsigned long n = atomic_load_explicit(&answers[r][s], memory_order_relaxed);
                        if (n > 0)
                                fprintf(f,
                                        "apid_requests_total{method=\"%s\",route=\"%s\",status=\"%u\"} %lu\n",
                                        route ? route->method : "", route ? route->path : "", statuses[s],
                                        n);
                }
        }
}

static void print_durations(FILE *f) {
        unsigned long n = 0;

        fputs("# HELP apid_request_duration_seconds From when a request was there as a whole to its answer\n"
              "# TYPE apid_request_duration_seconds histogram\n"
              "# UNIT apid_request_duration_seconds seconds\n",
              f);
        for (size_t d = 0; d <= ELEMENTSOF(bounds); d++) {
                n += atomic_load_explicit(&durations[d], memory_order_relaxed);
                if (d < ELEMENTSOF(bounds))
                        fprintf(f, "apid_request_duration_seconds_bucket{le=\"%lli.%06lli\"} %lu\n",
                                bounds[d] / 1000000, bounds[d] % 1000000, n);
                else
                        fprintf(f, "apid_request_duration_seconds_bucket{le=\"+Inf\"} %lu\n", n);
        }
        unsigned long sum = atomic_load_explicit(&duration_sum, memory_order_relaxed);
        fprintf(f, "apid_request_duration_seconds_sum %lu.%06lu\napid_request_duration_seconds_count %lu\n",
                sum / 1000000, sum % 1000000, n);
}

int metrics_format(char **ret, size_t *ret_size) {
        char *text = NULL;
        FILE *f = open_memstream(&text, ret_size);

        if (!f)
                return -ENOMEM;
        print_answers(f);
        print_durations(f);
        for (Metric m = 0; m < _METRIC_MAX; m++)
                fprintf(f, "# HELP %s %s\n# TYPE %s %s\n%s%s %li\n", descriptions[m].name,
                        descriptions[m].help, descriptions[m].name, descriptions[m].type,
                        descriptions[m].name, descriptions[m].type[0] == 'c' ? "_total" : "",
                        metrics_get(m));
        fprintf(f,
                "# HELP apid_password_iterations Rounds of PBKDF2\n# TYPE apid_password_iterations counter\n"
                "apid_password_iterations_total %lu\n",
                (unsigned long) password_iterations_done());
        fputs("# EOF\n", f);
        bool failed = ferror(f);
        if (fclose(f) != 0 || failed) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}
