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
#include "seat.h"
#include "uploadd.h"

/* µs after which a recording is followed by another: what is open for weeks is as hard to find, to finish
 * and to hand over as it is long. */
#define RECORDING_MAX (24 * 3600 * UINT64_C(1000000))

struct Recorder {
        Broker *broker;
        enum { WISH_NONE, WISH_START, WISH_STOP } wish; /* of a person */
        bool active;
        sd_id128_t id;
        uint64_t since;
        const char *reason;
        CaptureDecision decision;            /* as it was begun with */
        char employee[CAPTURE_NAME_MAX + 1]; /* whose the workstation was then */
        sd_event_source *too_long;
        uint64_t connection; /* of uploadd, for which it was begun */
        enum wire_hold hold; /* as uploadd was told last, if active */

        uint64_t pause_begin, pause_end; /* µs of CLOCK_BOOTTIME; 0: nobody pauses it */
        uint64_t pause_realtime;         /* what to add for CLOCK_REALTIME, as it was at the beginning */
        sd_event_source *pause_over;
};

static CaptureDecision recorder_decide(const Recorder *recorder) {
        const Broker *broker = recorder->broker;

        return policy_intersect(&broker->settings.limits, policy_sync_get(broker->policy));
}

static const char *recorder_employee(const Recorder *recorder) {
        const CapturePolicy *policy = policy_sync_get(recorder->broker->policy);

        return policy ? policy->employee : "";
}

static const char *hold_to_string(enum wire_hold hold) {
        return hold == WIRE_HOLD_PAUSED ? "paused" : hold == WIRE_HOLD_LOCKED ? "locked" : "";
}

static void recorder_unpause(Recorder *recorder) {
        recorder->pause_begin = recorder->pause_end = 0;
        (void) sd_event_source_set_enabled(recorder->pause_over, SD_EVENT_OFF);
}

/* Why no picture may be taken now although a recording is open. A pause may have become shorter, or be no
 * longer allowed, since it was begun. */
static enum wire_hold recorder_hold(Recorder *recorder, const CaptureDecision *decision) {
        uint64_t end = recorder->pause_begin + decision->pause_seconds * UINT64_C(1000000);

        if (recorder->pause_end > end)
                recorder->pause_end = end;
        if (recorder->pause_end > clock_boottime()) {
                (void) sd_event_source_set_time(recorder->pause_over, recorder->pause_end);
                (void) sd_event_source_set_enabled(recorder->pause_over, SD_EVENT_ONESHOT);
                return WIRE_HOLD_PAUSED;
        }
        recorder_unpause(recorder);
        return !decision->record_locked && seat_locked(recorder->broker->seat) ? WIRE_HOLD_LOCKED
                                                                               : WIRE_HOLD_NONE;
}

/* uploadd asks only while there is a grant: a refusal would stand in the recording, as if capture had
 * failed. So it is told of an end before that comes, and of a beginning after it. */
static int recorder_set_hold(Recorder *recorder, enum wire_hold hold) {
        Broker *broker = recorder->broker;
        int r;

        recorder->hold = hold;
        if (hold == WIRE_HOLD_NONE)
                capd_grant(broker->capd, recorder->decision.frames_per_second);
        r = uploadd_send_hold(broker->uploadd, hold);
        if (hold != WIRE_HOLD_NONE)
                capd_revoke(broker->capd);
        return r;
}

static void recorder_tell_hold(const Recorder *recorder) {
        Broker *broker = recorder->broker;
        char id[SD_ID128_UUID_STRING_MAX];

        sd_id128_to_uuid_string(recorder->id, id);
        if (recorder->hold == WIRE_HOLD_NONE) {
                log_event_errno(LOG_NOTICE, 0, MESSAGE_RECORDING_RESUMED, "Recording %s goes on.", id);
                bus_emit_recording_resumed(broker->bus, id);
        } else {
                log_event_errno(LOG_NOTICE, 0, MESSAGE_RECORDING_PAUSED, "Recording %s pauses: %s.", id,
                                recorder->hold == WIRE_HOLD_PAUSED ? "somebody who may has paused it"
                                                                   : "the session at the seat is locked");
                bus_emit_recording_paused(broker->bus, id, hold_to_string(recorder->hold));
                status_resolved(broker, PROBLEM_RECORDING);
                status_resolved(broker, PROBLEM_CAPD);
        }
        bus_changed(broker->bus);
}

static void recorder_end(Recorder *recorder, const char *why) {
        Broker *broker = recorder->broker;
        char id[SD_ID128_UUID_STRING_MAX];

        if (recorder->connection == uploadd_connection(broker->uploadd))
                uploadd_send_stop(broker->uploadd, recorder->id);
        capd_revoke(broker->capd);
        recordings_stopped(broker->recordings, recorder->id);
        recorder->active = false;
        (void) sd_event_source_set_enabled(recorder->too_long, SD_EVENT_OFF);
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
        recorder->hold = recorder_hold(recorder, decision);
        if (recorder->hold == WIRE_HOLD_NONE)
                capd_grant(broker->capd, decision->frames_per_second);
        r = recordings_begin(broker->recordings, recorder->id, recorder->since, recorder->reason);
        if (r >= 0) {
                r = uploadd_send_record(broker->uploadd, recorder->id, decision, recorder->hold);
                if (r < 0)
                        recordings_void(broker->recordings, recorder->id);
        }
        if (r < 0) {
                capd_revoke(broker->capd);
                status_problem(broker, PROBLEM_RECORDING, "Cannot begin a recording: %s.", strerror(-r));
                return;
        }
        recorder->active = true;
        snprintf(recorder->employee, sizeof(recorder->employee), "%s", recorder_employee(recorder));
        (void) sd_event_source_set_time(recorder->too_long, clock_boottime() + RECORDING_MAX);
        (void) sd_event_source_set_enabled(recorder->too_long, SD_EVENT_ONESHOT);
        broker->status.n_recordings++;
        log_event_errno(LOG_NOTICE, 0, MESSAGE_RECORDING_STARTED,
                        "Recording %s started by %s: %u frames a second at most.",
                        sd_id128_to_uuid_string(recorder->id, id),
                        recorder->wish == WISH_START ? "an administrator" : "the policy",
                        decision->frames_per_second);
        bus_emit_recording_started(broker->bus, id, recorder->reason);
        bus_changed(broker->bus);
        if (recorder->hold != WIRE_HOLD_NONE)
                recorder_tell_hold(recorder);
}

static bool recorder_same(const CaptureDecision *a, const CaptureDecision *b) {
        return a->frames_per_second == b->frames_per_second && a->jpeg_quality == b->jpeg_quality &&
               a->segment_seconds == b->segment_seconds && a->segment_bytes == b->segment_bytes &&
               a->bytes_per_minute == b->bytes_per_minute && a->cpu_ms_per_second == b->cpu_ms_per_second;
}

static void recorder_note_problems(Recorder *recorder, const CaptureDecision *decision, bool wanted) {
        Broker *broker = recorder->broker;
        const CapturePolicy *policy = policy_sync_get(broker->policy);

        if (policy && policy->recording != RECORDING_OFF && !decision->bucket_pinned)
                status_problem(broker, PROBLEM_BUCKET,
                               "Nothing is uploaded: bucket host %s is not pinned in [Bucket] Hosts= of %s.",
                               policy->bucket_host[0] ? policy->bucket_host : "(none)",
                               broker->settings.config);
        else if (policy)
                status_resolved(broker, PROBLEM_BUCKET);

        if (wanted && !uploadd_connection(broker->uploadd))
                status_problem(broker, PROBLEM_UPLOADD,
                               "Nothing is recorded: streamsight-uploadd is not connected. "
                               "Check: systemctl status streamsight-uploadd.");
        else
                status_resolved(broker, PROBLEM_UPLOADD);
}

void recorder_evaluate(Recorder *recorder) {
        Broker *broker = recorder->broker;
        CaptureDecision decision = recorder_decide(recorder);

        /* Nobody may: it is not to begin by itself when somebody may again. */
        if (recorder->wish == WISH_START && decision.recording < RECORDING_MANUAL)
                recorder->wish = WISH_NONE;
        bool wanted = identity_enrolled(&broker->identity) && decision.bucket_pinned &&
                      (recorder->wish == WISH_START  ? decision.recording >= RECORDING_MANUAL
                       : recorder->wish == WISH_NONE ? decision.recording == RECORDING_AUTOMATIC
                                                     : false);

        if (recorder->active && recorder->connection != uploadd_connection(broker->uploadd))
                recorder_end(recorder, "uploadd has gone");
        if (recorder->active && !wanted)
                recorder_end(recorder, recorder->wish == WISH_STOP ? "an administrator stopped it"
                                                                   : "the policy no longer asks for it");
        if (recorder->active && !recorder_same(&decision, &recorder->decision))
                recorder_end(recorder, "the policy has changed");
        if (recorder->active && strcmp(recorder->employee, recorder_employee(recorder)) != 0)
                recorder_end(recorder, "the workstation is another employee's");

        recorder_note_problems(recorder, &decision, wanted);
        /* Whether the session is locked is to be known first. */
        if (!recorder->active && wanted && uploadd_connection(broker->uploadd) &&
            (decision.record_locked || seat_known(broker->seat)))
                recorder_begin(recorder, &decision);
        else if (recorder->active) {
                enum wire_hold hold = recorder_hold(recorder, &decision);

                /* If uploadd cannot be told, the recording ends with the connection. */
                if (hold != recorder->hold && recorder_set_hold(recorder, hold) >= 0)
                        recorder_tell_hold(recorder);
        }
}

int recorder_start(Recorder *recorder, const char **ret_why) {
        const Broker *broker = recorder->broker;
        const CapturePolicy *policy = policy_sync_get(broker->policy);
        const CaptureDecision decision = recorder_decide(recorder);

        if (decision.recording >= RECORDING_MANUAL && !decision.bucket_pinned) {
                *ret_why = "Hosts= in [Bucket] of agent.conf does not have the policy's bucket";
                return -EPERM;
        }
        if (decision.recording < RECORDING_MANUAL) {
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
        recorder_unpause(recorder);
        recorder_evaluate(recorder);
}

int recorder_pause(Recorder *recorder, uint32_t seconds) {
        uint32_t most = recorder_pause_max(recorder);

        if (!recorder->active)
                return -ESRCH;
        if (seconds > most || most == 0)
                return -EPERM;
        recorder->pause_begin = clock_boottime();
        recorder->pause_realtime = clock_realtime() - recorder->pause_begin;
        recorder->pause_end = recorder->pause_begin + (seconds ?: most) * UINT64_C(1000000);
        recorder_evaluate(recorder);
        bus_changed(recorder->broker->bus); /* a second pause may end at another time */
        return 0;
}

void recorder_resume(Recorder *recorder) {
        recorder_unpause(recorder);
        recorder_evaluate(recorder);
}

void recorder_forget(Recorder *recorder) {
        recorder_unpause(recorder);
        recorder->wish = WISH_NONE;
        recorder_evaluate(recorder);
}

static int on_pause_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        recorder_resume(userdata);
        return 0;
}

static int on_too_long(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Recorder *recorder = userdata;

        recorder_end(recorder, "it has gone on for a day, and another follows");
        recorder_evaluate(recorder);
        return 0;
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

uint32_t recorder_pause_max(const Recorder *recorder) {
        return recorder_decide(recorder).pause_seconds;
}

const char *recorder_paused(const Recorder *recorder) {
        return recorder_active(recorder) ? hold_to_string(recorder->hold) : "";
}

uint64_t recorder_paused_until(const Recorder *recorder) {
        return recorder_active(recorder) && recorder->hold == WIRE_HOLD_PAUSED
                               ? recorder->pause_end + recorder->pause_realtime
                               : 0;
}

int recorder_new(Recorder **ret, Broker *broker) {
        Recorder *recorder = calloc(1, sizeof(*recorder));
        int r;

        if (!recorder)
                return -ENOMEM;
        recorder->broker = broker;
        if ((r = sd_event_add_time(broker->event, &recorder->pause_over, CLOCK_BOOTTIME, UINT64_MAX, 10000,
                                   on_pause_over, recorder)) < 0 ||
            (r = sd_event_source_set_enabled(recorder->pause_over, SD_EVENT_OFF)) < 0 ||
            (r = sd_event_add_time(broker->event, &recorder->too_long, CLOCK_BOOTTIME, UINT64_MAX, 0,
                                   on_too_long, recorder)) < 0 ||
            (r = sd_event_source_set_enabled(recorder->too_long, SD_EVENT_OFF)) < 0) {
                recorder_free(recorder);
                return r;
        }
        *ret = recorder;
        return 0;
}

Recorder *recorder_free(Recorder *recorder) {
        if (!recorder)
                return NULL;
        sd_event_source_disable_unref(recorder->pause_over);
        sd_event_source_disable_unref(recorder->too_long);
        free(recorder);
        return NULL;
}
