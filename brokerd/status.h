/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What stands in the way at the moment, one line for each kind, for the journal and for LastError. */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"

struct Broker;

typedef enum Problem {
        PROBLEM_CONFIGURATION, /* agent.conf, or the device's own files */
        PROBLEM_ENROLMENT,
        PROBLEM_CONTROL_PLANE, /* cannot be reached, or refuses this device */
        PROBLEM_POLICY,        /* cannot be understood */
        PROBLEM_BUCKET,        /* not pinned */
        PROBLEM_CAPD,
        PROBLEM_UPLOADD,
        PROBLEM_RECORDING, /* what uploadd says hinders the recording */
        PROBLEM_UPLOAD,    /* the last try of a segment failed */
        _PROBLEM_MAX,
} Problem;

typedef struct Status {
        char *problems[_PROBLEM_MAX];
        uint64_t order[_PROBLEM_MAX]; /* of appearance */
        uint64_t count;
        uint64_t times[_PROBLEM_MAX];  /* of the last appearance, µs of CLOCK_REALTIME, 0 never */
        uint64_t counts[_PROBLEM_MAX]; /* of appearances */
        uint64_t started;              /* µs of CLOCK_REALTIME */
        uint64_t n_recordings, n_completed, n_failed; /* recordings begun, segments complete, tries failed */
        uint64_t last_upload;                         /* µs of CLOCK_REALTIME, 0 never */
} Status;

/* A problem, which stays until it is resolved. Logged when its text is new. No secret, no URL with a query.
 */
void status_problem(struct Broker *broker, Problem problem, const char *format, ...) _printf_(3, 4);
void status_resolved(struct Broker *broker, Problem problem);
const char *problem_to_string(Problem problem);
bool status_has(const struct Broker *broker, Problem problem);

/* The newest problem that stands, "" if none. */
const char *status_last_error(const struct Broker *broker);

/* unenrolled, idle, recording, paused, offline or degraded: docs/dbus.md says when. */
const char *status_state(const struct Broker *broker);

void status_done(Status *status);
