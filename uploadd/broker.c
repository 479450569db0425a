/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"

#include <string.h>

#include "capture.h"
#include "log.h"
#include "names.h"
#include "recording.h"
#include "upload.h"

#define STATS_INTERVAL UINT64_C(5000000) /* µs */
#define STATS_DELAY    UINT64_C(50000)   /* changes close together are told at once */

struct Broker {
        Uploadd *uploadd;
        Peer peer;
        sd_event_source *stats;
        enum { STATS_NOT_DUE, STATS_LATER, STATS_SOON } due;
};

bool broker_connected(const Broker *broker) {
        return broker->peer.connection;
}

void broker_announce(Broker *broker, const Segment *segment) {
        (void) peer_send(&broker->peer, &segment->ready, sizeof(segment->ready));
        broker_changed(broker);
}

static void stats_after(Broker *broker, uint64_t usec) {
        int r = sd_event_source_set_time_relative(broker->stats, usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(broker->stats, SD_EVENT_ONESHOT);
        if (r < 0)
                sd_event_exit(broker->uploadd->event, log_error_errno(r, "Cannot set a timer: %m"));
}

void broker_changed(Broker *broker) {
        if (!broker || broker->due == STATS_SOON)
                return;
        broker->due = STATS_SOON;
        stats_after(broker, STATS_DELAY);
}

void broker_counted(Broker *broker) {
        if (broker->due != STATS_NOT_DUE)
                return;
        broker->due = STATS_LATER;
        stats_after(broker, STATS_INTERVAL);
}

static int on_stats(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Broker *broker = userdata;
        Uploadd *uploadd = broker->uploadd;
        struct wire_broker_stats stats = {
                .type = WIRE_BROKER_STATS,
                .recording = uploadd->recording != NULL,
                .pending_segments = uploadd->segments.count,
                .pending_bytes = uploadd->segments.bytes,
                .frames = uploadd->frames,
                .last_frame_realtime = uploadd->last_frame_realtime,
        };

        capture_stats(uploadd->capture, &stats);
        broker->due = STATS_NOT_DUE;
        (void) peer_send(&broker->peer, &stats, sizeof(stats));
        return 0;
}

/* Tells of the recordings of which nothing is left, and forgets them. */
static void finish_recordings(Broker *broker) {
        RecordingEntry *next;

        for (RecordingEntry *entry = broker->uploadd->segments.recordings; entry; entry = next) {
                struct wire_broker_recording finished = { WIRE_BROKER_FINISHED, entry->n_segments };

                next = entry->next;
                if (!entry->ended || entry->n_queued > 0)
                        continue;
                memcpy(finished.recording, entry->id, sizeof(finished.recording));
                if (peer_send(&broker->peer, &finished, sizeof(finished)) < 0)
                        return;
                segments_forget_recording(&broker->uploadd->segments, entry);
        }
        uploadd_check_stopped(broker->uploadd);
}

static const enum segment_gap hold_gaps[_WIRE_HOLD_MAX] = {
        [WIRE_HOLD_PAUSED] = SEGMENT_GAP_PAUSED,
        [WIRE_HOLD_LOCKED] = SEGMENT_GAP_LOCKED,
};

static int on_record(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                     size_t n_fds _unused_, void *userdata) {
        Broker *broker = ((Peer *) userdata)->userdata;
        const struct wire_broker_record *record = message;
        int r;

        if (broker->uploadd->stopping)
                return 0;
        r = recording_start(broker->uploadd, record);
        if (r < 0)
                return r;
        recording_hold(broker->uploadd, hold_gaps[record->hold]);
        finish_recordings(broker);
        capture_start(broker->uploadd->capture);
        broker_changed(broker);
        return 0;
}

static int on_stop(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                   size_t n_fds _unused_, void *userdata) {
        Broker *broker = ((Peer *) userdata)->userdata;
        const struct wire_broker_recording *stop = message;
        const Recording *recording = broker->uploadd->recording;

        /* One that has already ended needs no more. */
        if (recording && memcmp(recording_id(recording), stop->recording, sizeof(stop->recording)) == 0)
                recording_end(broker->uploadd);
        finish_recordings(broker);
        broker_changed(broker);
        return 0;
}

static int on_hold(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                   size_t n_fds _unused_, void *userdata) {
        Broker *broker = ((Peer *) userdata)->userdata;
        const struct wire_broker_hold *hold = message;

        if (hold->hold >= _WIRE_HOLD_MAX)
                return -EBADMSG;
        recording_hold(broker->uploadd, hold_gaps[hold->hold]);
        if (hold->hold == WIRE_HOLD_NONE)
                capture_start(broker->uploadd->capture);
        broker_changed(broker);
        return 0;
}

static int on_restart(WireConnection *connection _unused_, const void *message _unused_, int *fds _unused_,
                      size_t n_fds _unused_, void *userdata) {
        log_info("brokerd asks for a restart.");
        return uploadd_stop(((Broker *) ((Peer *) userdata)->userdata)->uploadd);
}

static int on_flush(WireConnection *connection _unused_, const void *message _unused_, int *fds _unused_,
                    size_t n_fds _unused_, void *userdata) {
        recording_flush(((Broker *) ((Peer *) userdata)->userdata)->uploadd);
        return 0;
}

static void tell_uploaded(Broker *broker, const Segment *segment) {
        struct wire_broker_segment uploaded = { WIRE_BROKER_UPLOADED, segment->ready.sequence };

        memcpy(uploaded.recording, segment->ready.recording, sizeof(uploaded.recording));
        (void) peer_send(&broker->peer, &uploaded, sizeof(uploaded));
}

static void tell_failed(Broker *broker, const uint8_t *recording, uint32_t sequence,
                        const UploadResult *result) {
        struct wire_broker_failed failed = {
                .type = WIRE_BROKER_FAILED,
                .sequence = sequence,
                .error = result->error,
                .http_status = result->http_status,
        };

        memcpy(failed.recording, recording, sizeof(failed.recording));
        snprintf(failed.text, sizeof(failed.text), "%s", result->text);
        log_warning_errno(result->error, "Segment %u: %s", sequence, result->text);
        (void) peer_send(&broker->peer, &failed, sizeof(failed));
}

static void on_uploaded(Segment *segment, const UploadResult *result, void *userdata) {
        Broker *broker = userdata;

        if (result->error < 0)
                tell_failed(broker, segment->ready.recording, segment->ready.sequence, result);
        else {
                segment->uploaded = true;
                log_debug("Segment %u is in the bucket.", segment->ready.sequence);
                tell_uploaded(broker, segment);
        }
        uploadd_check_stopped(broker->uploadd);
}

static int on_upload(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                     size_t n_fds _unused_, void *userdata) {
        Broker *broker = ((Peer *) userdata)->userdata;
        const struct wire_broker_upload *upload = message;
        Segment *segment = segments_find(&broker->uploadd->segments, upload->recording, upload->sequence);
        UploadResult result;

        if (!segment) {
                result = (UploadResult){ .error = -ENOENT, .text = "no such segment is waiting for upload" };
                tell_failed(broker, upload->recording, upload->sequence, &result);
        } else if (segment->uploaded)
                tell_uploaded(broker, segment);
        else if (!segment->upload &&
                 upload_start(broker->uploadd, segment, upload, on_uploaded, broker, &result) < 0)
                tell_failed(broker, upload->recording, upload->sequence, &result);
        return 0;
}

static int on_release(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                      size_t n_fds _unused_, void *userdata) {
        Broker *broker = ((Peer *) userdata)->userdata;
        const struct wire_broker_segment *release = message;
        Segment *segment = segments_find(&broker->uploadd->segments, release->recording, release->sequence);

        if (!segment)
                return 0; /* told twice, across a restart of brokerd */
        if (!segment->uploaded)
                log_notice("Segment %u is released though this process has not uploaded it.",
                           release->sequence);
        upload_cancel(segment);
        segments_release(&broker->uploadd->segments, segment);
        finish_recordings(broker);
        broker_changed(broker);
        return 0;
}

static int on_session(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                      size_t n_fds _unused_, void *userdata) {
        Uploadd *uploadd = ((Broker *) ((Peer *) userdata)->userdata)->uploadd;
        const struct wire_broker_session *told = message;
        SegmentSession session = { .uid = told->uid };

        if (told->flags & ~(WIRE_SESSION_OPEN | WIRE_SESSION_LOGIN) ||
            !wire_string_ok(told->id, sizeof(told->id)) || !wire_string_ok(told->seat, sizeof(told->seat)) ||
            !wire_string_ok(told->user, sizeof(told->user)))
                return -EBADMSG;
        session.flags = (told->flags & WIRE_SESSION_OPEN ? SEGMENT_SESSION_OPEN : 0) |
                        (told->flags & WIRE_SESSION_LOGIN ? SEGMENT_SESSION_LOGIN : 0);
        strcpy(session.id, told->id);
        strcpy(session.seat, told->seat);
        strcpy(session.user, told->user);
        if (uploadd->has_session && memcmp(&uploadd->session, &session, sizeof(session)) == 0)
                return 0;
        uploadd->session = session;
        uploadd->has_session = true;
        recording_session(uploadd);
        return 0;
}

static void on_up(Peer *peer _unused_, void *userdata) {
        Broker *broker = userdata;

        for (const Segment *segment = broker->uploadd->segments.first; segment; segment = segment->next)
                (void) peer_send(&broker->peer, &segment->ready, sizeof(segment->ready));
        finish_recordings(broker);
        broker_changed(broker);
}

static void on_down(Peer *peer _unused_, void *userdata) {
        Broker *broker = userdata;

        if (broker->uploadd->recording)
                log_notice("brokerd is gone: the recording ends here, what is finished is kept.");
        recording_end(broker->uploadd);
        broker->uploadd->has_session = false;
        uploadd_check_stopped(broker->uploadd);
}

#define RULE(name, struct_name, handler)                                                                    \
        { #name, WIRE_BROKER_##name, sizeof(struct struct_name), 0, 0, WIRE_STATE_READY, handler }

static const WireRule rules[] = {
        RULE(RECORD, wire_broker_record, on_record), RULE(STOP, wire_broker_recording, on_stop),
        RULE(FLUSH, wire_plain, on_flush),           RULE(SESSION, wire_broker_session, on_session),
        RULE(HOLD, wire_broker_hold, on_hold),       RULE(UPLOAD, wire_broker_upload, on_upload),
        RULE(RESTART, wire_plain, on_restart),       RULE(RELEASE, wire_broker_segment, on_release),
};

static const PeerKind kind = { "brokerd", STREAMSIGHT_DOMAIN_BROKERD, false, rules, ELEMENTSOF(rules), on_up,
                               on_down };

int broker_new(Broker **ret, Uploadd *uploadd) {
        Broker *broker = calloc(1, sizeof(*broker));
        int r;

        if (!broker)
                return -ENOMEM;
        broker->uploadd = uploadd;
        r = sd_event_add_time(uploadd->event, &broker->stats, CLOCK_BOOTTIME, UINT64_MAX, 10000, on_stats,
                              broker);
        if (r >= 0)
                r = peer_init(&broker->peer, &kind, uploadd->event, uploadd->settings.broker_socket, broker);
        if (r < 0) {
                broker_free(broker);
                return r;
        }
        *ret = broker;
        return 0;
}

Broker *broker_free(Broker *broker) {
        if (!broker)
                return NULL;
        peer_done(&broker->peer);
        sd_event_source_disable_unref(broker->stats);
        free(broker);
        return NULL;
}
