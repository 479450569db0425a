/* SPDX-License-Identifier: Apache-2.0 */

#include "uploadd.h"

#include <poll.h>
#include <string.h>

#include "bus.h"
#include "log.h"
#include "message-ids.h"
#include "names.h"
#include "recorder.h"
#include "recordings.h"
#include "seat.h"
#include "uploads.h"
#include "wire-connection.h"
#include "wire-socket.h"

struct Uploadd {
        Broker *broker;
        int listen_fd;
        uid_t uid;
        sd_event_source *source, *deferred;
        WireConnection *connection;
        uint64_t number; /* of the connection, counted */
        pid_t pid;       /* of the last one connected, and a descriptor of it, -1: none */
        int pidfd;
        struct wire_broker_stats stats;
};

static sd_id128_t recording_of(const uint8_t bytes[static 16]) {
        sd_id128_t id;

        memcpy(id.bytes, bytes, sizeof(id.bytes));
        return id;
}

static int on_segment_ready(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                            size_t n_fds _unused_, void *userdata) {
        return uploads_segment_ready(((Uploadd *) userdata)->broker->uploads, message);
}

static int on_uploaded(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                       size_t n_fds _unused_, void *userdata) {
        const struct wire_broker_segment *segment = message;

        uploads_uploaded(((Uploadd *) userdata)->broker->uploads, recording_of(segment->recording),
                         segment->sequence);
        return 0;
}

static int on_failed(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                     size_t n_fds _unused_, void *userdata) {
        const struct wire_broker_failed *failed = message;

        if (!wire_string_ok(failed->text, sizeof(failed->text)))
                return -EBADMSG;
        uploads_failed(((Uploadd *) userdata)->broker->uploads, recording_of(failed->recording),
                       failed->sequence, failed->error, failed->text);
        return 0;
}

static int on_finished(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                       size_t n_fds _unused_, void *userdata) {
        const struct wire_broker_recording *finished = message;

        return recordings_finished(((Uploadd *) userdata)->broker->recordings,
                                   recording_of(finished->recording), finished->n_segments);
}

static int on_stats(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                    size_t n_fds _unused_, void *userdata) {
        const struct wire_broker_stats *stats = message;
        Uploadd *uploadd = userdata;
        Broker *broker = uploadd->broker;

        if (stats->n_outputs > WIRE_OUTPUTS_MAX || stats->reason >= _WIRE_REASON_MAX ||
            !wire_string_ok(stats->text, sizeof(stats->text)))
                return -EBADMSG;
        for (uint32_t i = 0; i < stats->n_outputs; i++)
                if (!wire_string_ok(stats->outputs[i].name, sizeof(stats->outputs[i].name)) ||
                    !wire_string_ok(stats->outputs[i].driver, sizeof(stats->outputs[i].driver)))
                        return -EBADMSG;
        uploadd->stats = *stats;
        if (recorder_active(broker->recorder) && stats->text[0])
                status_problem(broker, PROBLEM_RECORDING, "%s", stats->text);
        else
                status_resolved(broker, PROBLEM_RECORDING);
        if (stats->n_outputs > 0)
                recordings_outputs_known(broker->recordings);
        bus_changed(broker->bus);
        return 0;
}

#define RULE(name, struct_name, handler)                                                                    \
        { #name, WIRE_BROKER_##name, sizeof(struct struct_name), 0, 0, WIRE_STATE_READY, handler }

static const WireRule uploadd_rules[] = {
        RULE(SEGMENT_READY, wire_broker_segment_ready, on_segment_ready),
        RULE(UPLOADED, wire_broker_segment, on_uploaded),
        RULE(FAILED, wire_broker_failed, on_failed),
        RULE(FINISHED, wire_broker_recording, on_finished),
        RULE(STATS, wire_broker_stats, on_stats),
};

/* Whoever depends on the connection is told from the loop, never from within what they just called. */
static void uploadd_down(Uploadd *uploadd) {
        uploadd->connection = wire_connection_free(uploadd->connection);
        uploadd->stats = (struct wire_broker_stats){};
        uploads_disconnected(uploadd->broker->uploads);
        (void) sd_event_source_set_enabled(uploadd->deferred, SD_EVENT_ONESHOT);
}

static int uploadd_on_change(sd_event_source *source _unused_, void *userdata) {
        struct wire_broker_session session;
        Uploadd *uploadd = userdata;

        if (uploadd->connection && seat_get(uploadd->broker->seat, &session))
                (void) uploadd_send_session(uploadd, &session);
        recorder_evaluate(uploadd->broker->recorder);
        bus_changed(uploadd->broker->bus);
        return 0;
}

static void uploadd_on_closed(WireConnection *connection _unused_, int error, const char *detail,
                              void *userdata) {
        Uploadd *uploadd = userdata;

        if (error < 0)
                log_error("The connection of uploadd (pid %i) was ended: %s.", (int) uploadd->pid, detail);
        else
                log_info("uploadd (pid %i) has disconnected.", (int) uploadd->pid);
        uploadd_down(uploadd);
}

/* Whether a process that connects now with this id is another than the one that was connected last. */
static bool uploadd_is_another(const Uploadd *uploadd, pid_t pid) {
        struct pollfd last = { .fd = uploadd->pidfd, .events = POLLIN };

        /* Ids are given anew; a descriptor stays its process's, and is readable when that has ended. */
        return uploadd->pid != 0 && (uploadd->pid != pid || (uploadd->pidfd >= 0 && poll(&last, 1, 0) > 0));
}

static int uploadd_on_connect(sd_event_source *source _unused_, int listen_fd, uint32_t revents _unused_,
                              void *userdata) {
        Uploadd *uploadd = userdata;
        Broker *broker = uploadd->broker;
        _cleanup_close_ int fd = -1;
        WirePeer peer;
        int r;

        r = wire_accept(listen_fd, uploadd->uid, STREAMSIGHT_DOMAIN_UPLOADD, &fd, &peer);
        if (r == -EAGAIN)
                return 0;
        if (r == -EPERM) {
                log_event_errno(LOG_ERR, 0, MESSAGE_PEER_REFUSED,
                                "Refused a connection to broker.sock from user %u (pid %i%s%s): only user %s may connect.",
                                peer.uid, (int) peer.pid, peer.label[0] ? ", " : "", peer.label,
                                broker->settings.uploadd_user);
                return 0;
        }
        if (r < 0)
                return sd_event_exit(broker->event, log_error_errno(r, "Cannot accept on broker.sock: %m"));

        /* There is one uploadd: if it is here anew, its old connection is dead, noticed or not. */
        if (uploadd->connection)
                uploadd_down(uploadd);
        r = wire_connection_new(&uploadd->connection, broker->event, fd, uploadd_rules,
                                ELEMENTSOF(uploadd_rules), uploadd_on_closed, uploadd);
        if (r < 0) {
                log_warning_errno(r, "Cannot take the connection of uploadd: %m");
                return 0;
        }
        log_info("uploadd (pid %i) has connected.", (int) peer.pid);
        /* The recordings of another process of it are lost with its memory; this one's will be announced. */
        if (uploadd_is_another(uploadd, peer.pid))
                recordings_abandon(broker->recordings);
        uploadd->pid = peer.pid;
        safe_close(uploadd->pidfd);
        uploadd->pidfd = wire_peer_pidfd(TAKE_FD(fd));
        uploadd->number++;
        (void) sd_event_source_set_enabled(uploadd->deferred, SD_EVENT_ONESHOT);
        return 0;
}

uint64_t uploadd_connection(const Uploadd *uploadd) {
        return uploadd->connection ? uploadd->number : 0;
}

const struct wire_broker_stats *uploadd_stats(const Uploadd *uploadd) {
        return &uploadd->stats;
}

static int uploadd_send(Uploadd *uploadd, const void *message, size_t size) {
        int r;

        if (!uploadd->connection)
                return -ENOTCONN;
        r = wire_connection_send(uploadd->connection, message, size, NULL, 0);
        if (r < 0) {
                log_error_errno(r, "uploadd (pid %i) does not take its messages, giving it up: %m",
                                (int) uploadd->pid);
                uploadd_down(uploadd);
        }
        return r;
}

int uploadd_send_session(Uploadd *uploadd, const struct wire_broker_session *session) {
        return uploadd_send(uploadd, session, sizeof(*session));
}

int uploadd_send_record(Uploadd *uploadd, sd_id128_t recording, const CaptureDecision *decision,
                        enum wire_hold hold) {
        struct wire_broker_record record = {
                .type = WIRE_BROKER_RECORD,
                .quality = decision->jpeg_quality,
                .frame_interval = UINT64_C(1000000000) / decision->frames_per_second,
                .outputs = UINT64_MAX,
                .segment_seconds = decision->segment_seconds,
                .segment_bytes = decision->segment_bytes,
                .bytes_per_minute = decision->bytes_per_minute,
                .cpu_ms_per_second = decision->cpu_ms_per_second,
                .hold = hold,
        };

        memcpy(record.recording, recording.bytes, sizeof(record.recording));
        memcpy(record.device, uploadd->broker->identity.device.bytes, sizeof(record.device));
        return uploadd_send(uploadd, &record, sizeof(record));
}

int uploadd_send_stop(Uploadd *uploadd, sd_id128_t recording) {
        struct wire_broker_recording stop = { .type = WIRE_BROKER_STOP };

        memcpy(stop.recording, recording.bytes, sizeof(stop.recording));
        return uploadd_send(uploadd, &stop, sizeof(stop));
}

pid_t uploadd_pid(const Uploadd *uploadd) {
        return uploadd->pid;
}

int uploadd_send_restart(Uploadd *uploadd) {
        const struct wire_plain restart = { .type = WIRE_BROKER_RESTART };

        return uploadd_send(uploadd, &restart, sizeof(restart));
}

int uploadd_send_hold(Uploadd *uploadd, enum wire_hold hold) {
        const struct wire_broker_hold message = { .type = WIRE_BROKER_HOLD, .hold = hold };

        return uploadd_send(uploadd, &message, sizeof(message));
}

int uploadd_send_flush(Uploadd *uploadd) {
        const struct wire_plain flush = { .type = WIRE_BROKER_FLUSH };

        return uploadd_send(uploadd, &flush, sizeof(flush));
}

int uploadd_send_upload(Uploadd *uploadd, const struct wire_broker_upload *upload) {
        return uploadd_send(uploadd, upload, sizeof(*upload));
}

int uploadd_send_release(Uploadd *uploadd, sd_id128_t recording, uint32_t sequence) {
        struct wire_broker_segment release = { .type = WIRE_BROKER_RELEASE, .sequence = sequence };

        memcpy(release.recording, recording.bytes, sizeof(release.recording));
        return uploadd_send(uploadd, &release, sizeof(release));
}

int uploadd_new(Uploadd **ret, Broker *broker) {
        Uploadd *uploadd = calloc(1, sizeof(*uploadd));
        int r;

        if (!uploadd)
                return -ENOMEM;
        uploadd->broker = broker;
        uploadd->listen_fd = uploadd->pidfd = -1;
        r = wire_user(broker->settings.uploadd_user, &uploadd->uid);
        if (r < 0)
                log_error_errno(r, "No user %s (run systemd-sysusers): %m", broker->settings.uploadd_user);
        else {
                r = wire_listen_fd(STREAMSIGHT_FD_BROKER, &uploadd->listen_fd);
                if (r < 0)
                        log_error_errno(r,
                                        "systemd did not pass broker.sock (start streamsight-broker.socket): %m");
        }
        if (r >= 0)
                r = sd_event_add_defer(broker->event, &uploadd->deferred, uploadd_on_change, uploadd);
        if (r >= 0)
                r = sd_event_add_io(broker->event, &uploadd->source, uploadd->listen_fd, EPOLLIN,
                                    uploadd_on_connect, uploadd);
        if (r < 0) {
                uploadd_free(uploadd);
                return r;
        }
        r = recordings_load(broker->recordings, &uploadd->pid);
        if (r < 0)
                log_warning_errno(r,
                                  "What was not finished cannot be read in %s, and is not finished now: %m",
                                  broker->settings.state_directory);
        *ret = uploadd;
        return 0;
}

Uploadd *uploadd_free(Uploadd *uploadd) {
        if (!uploadd)
                return NULL;
        sd_event_source_disable_unref(uploadd->source);
        sd_event_source_disable_unref(uploadd->deferred);
        wire_connection_free(uploadd->connection);
        safe_close(uploadd->listen_fd);
        safe_close(uploadd->pidfd);
        free(uploadd);
        return NULL;
}
