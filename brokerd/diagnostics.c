/* SPDX-License-Identifier: Apache-2.0 */

#include "diagnostics.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "policy-sync.h"
#include "recorder.h"
#include "uploadd.h"

/* The report is written before anybody reads: it must fit into an empty pipe (pipe(7)). */
#define REPORT_SIZE_MAX 16384U

static json_t *problems_json(const Status *status) {
        json_t *list = json_array();

        for (Problem problem = 0; problem < _PROBLEM_MAX; problem++) {
                char last[CLOCK_RFC3339_SIZE];

                if (status->times[problem] == 0)
                        continue;
                clock_format_rfc3339(status->times[problem], last);
                json_array_append_new(list,
                                      json_pack("{s:s, s:I, s:s, s:b}", "kind", problem_to_string(problem),
                                                "count", (json_int_t) status->counts[problem], "last", last,
                                                "stands", status->problems[problem] != NULL));
        }
        return list;
}

json_t *diagnostics_report(const Broker *broker) {
        const struct wire_broker_stats *stats = uploadd_stats(broker->uploadd);
        const CapturePolicy *policy = policy_sync_get(broker->policy);
        const Status *status = &broker->status;
        char now[CLOCK_RFC3339_SIZE], since[CLOCK_RFC3339_SIZE];

        clock_format_rfc3339(clock_realtime(), now);
        clock_format_rfc3339(status->started, since);
        return json_pack(
                        "{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:{s:b, s:I, s:i, s:i, s:I, s:i}, s:{s:I, s:I, s:I}, "
                        "s:o}",
                        "version", STREAMSIGHT_VERSION, "time", now, "running_since", since, "state",
                        status_state(broker), "pause", recorder_paused(broker->recorder), "policy_revision",
                        policy ? (json_int_t) policy->revision : (json_int_t) 0, "recording",
                        recorder_active(broker->recorder), "uploadd", "connected",
                        uploadd_connection(broker->uploadd) != 0, "frames", (json_int_t) stats->frames,
                        "outputs", (int) stats->n_outputs, "pending_segments", (int) stats->pending_segments,
                        "pending_bytes", (json_int_t) stats->pending_bytes, "last_reason",
                        (int) stats->reason, "counters", "recordings", (json_int_t) status->n_recordings,
                        "segments_complete", (json_int_t) status->n_completed, "uploads_failed",
                        (json_int_t) status->n_failed, "problems", problems_json(status));
}

int diagnostics_method(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        json_auto_t *report = diagnostics_report(userdata);
        _cleanup_free_ char *text = report ? json_dumps(report, JSON_INDENT(2)) : NULL;
        _cleanup_close_ int read_fd = -1, write_fd = -1;
        int fds[2];

        if (!text)
                return -ENOMEM;
        size_t size = strlen(text);
        if (size > REPORT_SIZE_MAX)
                return -EFBIG;
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        read_fd = fds[0];
        write_fd = fds[1];
        ssize_t n = write(write_fd, text, size);
        if (n < 0)
                return -errno;
        if ((size_t) n != size)
                return -EIO;
        return sd_bus_reply_method_return(message, "h", read_fd);
}
