/* SPDX-License-Identifier: Apache-2.0 */

#include "status.h"

#include <stdarg.h>
#include <string.h>

#include "broker.h"
#include "bus.h"
#include "clock.h"
#include "log.h"
#include "recorder.h"
#include "reports.h"

void status_problem(Broker *broker, Problem problem, const char *format, ...) {
        Status *status = &broker->status;
        _cleanup_free_ char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        int n = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (n < 0) {
                text = NULL;
                return;
        }
        if (status->problems[problem] && strcmp(status->problems[problem], text) == 0)
                return;
        log_warning("%s", text);
        free(status->problems[problem]);
        status->problems[problem] = TAKE_PTR(text);
        status->order[problem] = ++status->count;
        status->times[problem] = clock_realtime();
        status->counts[problem]++;
        reports_soon(broker->reports);
        bus_changed(broker->bus);
}

void status_resolved(Broker *broker, Problem problem) {
        Status *status = &broker->status;

        if (!status->problems[problem])
                return;
        log_info("No longer: %s", status->problems[problem]);
        free(status->problems[problem]);
        status->problems[problem] = NULL;
        bus_changed(broker->bus);
}

const char *problem_to_string(Problem problem) {
        static const char *const names[_PROBLEM_MAX] = {
                [PROBLEM_CONFIGURATION] = "configuration",
                [PROBLEM_ENROLMENT] = "enrolment",
                [PROBLEM_CONTROL_PLANE] = "control-plane",
                [PROBLEM_POLICY] = "policy",
                [PROBLEM_BUCKET] = "bucket",
                [PROBLEM_CAPD] = "capd",
                [PROBLEM_UPLOADD] = "uploadd",
                [PROBLEM_RECORDING] = "recording",
                [PROBLEM_UPLOAD] = "upload",
        };

        return names[problem];
}

bool status_has(const Broker *broker, Problem problem) {
        return broker->status.problems[problem] != NULL;
}

const char *status_last_error(const Broker *broker) {
        const Status *status = &broker->status;
        const char *newest = "";
        uint64_t order = 0;

        for (int i = 0; i < _PROBLEM_MAX; i++)
                if (status->problems[i] && status->order[i] > order) {
                        newest = status->problems[i];
                        order = status->order[i];
                }
        return newest;
}

const char *status_state(const Broker *broker) {
        static const Problem hindrances[] = { PROBLEM_POLICY, PROBLEM_BUCKET, PROBLEM_CAPD, PROBLEM_UPLOADD,
                                              PROBLEM_RECORDING };

        if (!identity_enrolled(&broker->identity))
                return "unenrolled";
        if (recorder_paused(broker->recorder)[0])
                return "paused";
        for (size_t i = 0; i < ELEMENTSOF(hindrances); i++)
                if (status_has(broker, hindrances[i]))
                        return "degraded";
        if (recorder_active(broker->recorder))
                return "recording";
        return status_has(broker, PROBLEM_CONTROL_PLANE) ? "offline" : "idle";
}

void status_done(Status *status) {
        for (int i = 0; i < _PROBLEM_MAX; i++)
                free(status->problems[i]);
}
