/* SPDX-License-Identifier: Apache-2.0 */

#include "recorder.h"

#include <string.h>

#include "bus.h"
#include "capd.h"
#include "clock.h"
#include "log.h"
#include "message-ids.h"
#include "policy-sync.h"
#include "recordings.h"
#include "uploadd.h"

struct Recorder {
        Broker *broker;
        enum { WISH_NONE, WISH_START, WISH_STOP } wish; /* of a person */
        bool active;
        sd_id128_t id;
        uint64_t since;
        const char *reason;
        CaptureDecision decision; /* as it was begun with */
        uint64_t connection;      /* of uploadd, for which it was begun */
};

static CaptureDecision recorder_decide(const Recorder *recorder) {
        const Broker *broker = recorder->broker;

        return policy_intersect(&broker->settings.limits, policy_sync_get(broker->policy));
}

static void recorder_end(Recorder *recorder, const char *why) {
        Broker *broker = recorder->broker;
        char id[SD_ID128_UUID_STRING_MAX];

        capd_revoke(broker->capd);
        if (recorder->connection == uploadd_connection(broker->uploadd))
                uploadd_send_stop(broker->uploadd, recorder->id);
        recordings_stopped(broker->recordings, recorder->id);
        recorder->active = false;
        log_event_errno(LOG_NOTICE, 0, MESSAGE_RECORDING_STOPPED, "Recording %s stopped: %s.",
                        sd_id128_to_uuid_string(recorder->id, id), why);
        bus_emit_recording_stopped(broker->bus, id, why);
        status_resolved(broker, PROBLEM_RECORDING);
        status_resolved(broker, PROBLEM_CAPD);
        bus_changed(broker->bus);
}

static void recorder_begin(Recorder *recorder, const CaptureDecision *decision) {
        Broker *broker = recorder->broker;
        char id[SD_ID128_UUID_STRING_MAX];
        int r;

        r = sd_id128_randomize(&recorder->id);
        if (r < 0) {
                status_problem(broker, PROBLEM_RECORDING, "Cannot make a recording's id: %s.", strerror(-r));
                return;
        }
        recorder->reason = recorder->wish == WISH_START ? "manual" : "policy";
        recorder->since = clock_realtime();
        recorder->decision = *decision;
        recorder->connection = uploadd_connection(broker->uploadd);
        r = recordings_begin(broker->recordings, recorder->id, recorder->since, recorder->reason);
        if (r >= 0)
                r = uploadd_send_record(broker->uploadd, recorder->id, decision);
        if (r < 0) {
                status_problem(broker, PROBLEM_RECORDING, "Cannot begin a recording: %s.", strerror(-r));
                return;
        }
        recorder->active = true;
        capd_grant(broker->capd, decision->frames_per_second);
        log_event_errno(LOG_NOTICE, 0, MESSAGE_RECORDING_STARTED,
                        "Recording %s started by %s: %u frames a second at most.",
                        sd_id128_to_uuid_string(recorder->id, id),
                        recorder->wish == WISH_START ? "an administrator" : "the policy",
                        decision->frames_per_second);
        bus_emit_recording_started(broker->bus, id, recorder->reason);
        bus_changed(broker->bus);
}

static bool recorder_same(const CaptureDecision *a, const CaptureDecision *b) {
        return a->frames_per_second == b->frames_per_second && a->jpeg_quality == b->jpeg_quality &&
               a->segment_seconds == b->segment_seconds && a->segment_bytes == b->segment_bytes &&
               a->bytes_per_minute == b->bytes_per_minute && a->cpu_ms_per_second == b->cpu_ms_per_second;
}

void recorder_evaluate(Recorder *recorder) {
        Broker *broker = recorder->broker;
        const CapturePolicy *policy = policy_sync_get(broker->policy);
        CaptureDecision decision = recorder_decide(recorder);
        bool wanted = identity_enrolled(&broker->identity) &&
                      (recorder->wish == WISH_START  ? decision.recording >= RECORDING_MANUAL
                       : recorder->wish == WISH_NONE ? decision.recording == RECORDING_AUTOMATIC
                                                     : false);

        if (policy && policy->recording != RECORDING_OFF && !decision.bucket_pinned)
                status_problem(broker, PROBLEM_BUCKET,
                               "Nothing is uploaded: bucket host %s is not pinned in [Bucket] Hosts= of %s.",
                               policy->bucket_host[0] ? policy->bucket_host : "(none)",
                               broker->settings.config);
        else if (policy)
                status_resolved(broker, PROBLEM_BUCKET);

        if (recorder->active && recorder->connection != uploadd_connection(broker->uploadd))
                recorder_end(recorder, "uploadd has gone");
        if (recorder->active && !wanted)
                recorder_end(recorder, recorder->wish == WISH_STOP ? "an administrator stopped it"
                                                                   : "the policy no longer asks for it");
        if (recorder->active && !recorder_same(&decision, &recorder->decision))
                recorder_end(recorder, "the policy has changed");

        if (wanted && !uploadd_connection(broker->uploadd))
                status_problem(broker, PROBLEM_UPLOADD,
                               "Nothing is recorded: streamsight-uploadd is not connected. "
                               "Check: systemctl status streamsight-uploadd.");
        else
                status_resolved(broker, PROBLEM_UPLOADD);
        if (!recorder->active && wanted && uploadd_connection(broker->uploadd))
                recorder_begin(recorder, &decision);
}

int recorder_start(Recorder *recorder, const char **ret_why) {
        const Broker *broker = recorder->broker;
        const CapturePolicy *policy = policy_sync_get(broker->policy);

        if (recorder_decide(recorder).recording < RECORDING_MANUAL) {
                *ret_why = !policy ? "the control plane's policy is not known yet"
                           : broker->settings.limits.recording == RECORDING_OFF
                                           ? "Recording=off in agent.conf forbids it"
                                           : "the control plane's policy forbids it";
                return -EPERM;
        }
        /* What the policy has already begun stays the policy's. */
        recorder->wish = recorder->active ? recorder->wish : WISH_START;
        recorder_evaluate(recorder);
        return 0;
}

void recorder_stop(Recorder *recorder) {
        recorder->wish = WISH_STOP;
        recorder_evaluate(recorder);
}

void recorder_shutdown(Recorder *recorder) {
        if (recorder->active)
                recorder_end(recorder, "streamsight-brokerd is stopping");
}

bool recorder_active(const Recorder *recorder) {
        return recorder && recorder->active;
}

uint64_t recorder_since(const Recorder *recorder) {
        return recorder_active(recorder) ? recorder->since : 0;
}

const char *recorder_reason(const Recorder *recorder) {
        return recorder_active(recorder) ? recorder->reason : "";
}

sd_id128_t recorder_id(const Recorder *recorder) {
        return recorder_active(recorder) ? recorder->id : SD_ID128_NULL;
}

int recorder_new(Recorder **ret, Broker *broker) {
        Recorder *recorder = calloc(1, sizeof(*recorder));

        if (!recorder)
                return -ENOMEM;
        recorder->broker = broker;
        *ret = recorder;
        return 0;
}

Recorder *recorder_free(Recorder *recorder) {
        free(recorder);
        return NULL;
}
