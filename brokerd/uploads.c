/* SPDX-License-Identifier: Apache-2.0 */

#include "uploads.h"

#include <string.h>
#include <sys/queue.h>

#include "backoff.h"
#include "bus.h"
#include "capture-policy.h"
#include "clock.h"
#include "http-url.h"
#include "log.h"
#include "recordings.h"
#include "resolver.h"
#include "upload-order.h"
#include "uploadd.h"

#define UPLOADS_MAX 256U
#define RETRY_LEAST UINT64_C(1000000)
#define RETRY_MOST  UINT64_C(120000000)
/* uploadd bounds a try itself; this is for one that never answers. */
#define UPLOAD_PATIENCE UINT64_C(600000000)

typedef enum UploadState {
        UPLOAD_WAITING,    /* for its turn, or until not_before */
        UPLOAD_PRESIGNING, /* … */
        UPLOAD_RESOLVING,
        UPLOAD_UPLOADING, /* uploadd is at it, until deadline */
        UPLOAD_COMPLETING,
} UploadState;

typedef struct Upload {
        TAILQ_ENTRY(Upload) list;
        Uploads *uploads;
        struct wire_broker_segment_ready ready;
        sd_id128_t recording;
        UploadState state;
        uint64_t not_before; /* µs of CLOCK_BOOTTIME; the deadline while UPLOADING */
        bool uploaded;       /* what remains is to complete it */
        Backoff backoff;
        ApiCall *call;
        Resolve *resolve;
        struct wire_broker_upload *order;
} Upload;

struct Uploads {
        Broker *broker;
        TAILQ_HEAD(, Upload) list; /* as announced */
        unsigned count;
        sd_event_source *timer;
};

static Upload *upload_free(Upload *upload) {
        if (!upload)
                return NULL;
        TAILQ_REMOVE(&upload->uploads->list, upload, list);
        upload->uploads->count--;
        api_call_free(upload->call);
        resolve_free(upload->resolve);
        free(upload->order);
        free(upload);
        return NULL;
}

static Upload *uploads_find(Uploads *uploads, sd_id128_t recording, uint32_t sequence) {
        Upload *upload;

        TAILQ_FOREACH(upload, &uploads->list, list)
        if (upload->ready.sequence == sequence && sd_id128_equal(upload->recording, recording))
                return upload;
        return NULL;
}

/* One more failure: it waits, and the others go on. */
static void upload_retry(Upload *upload, uint64_t retry_after) {
        upload->call = api_call_free(upload->call);
        upload->resolve = resolve_free(upload->resolve);
        free(upload->order);
        upload->order = NULL;
        upload->state = UPLOAD_WAITING;
        upload->not_before = clock_boottime() +
                             backoff_next(&upload->backoff, RETRY_LEAST, RETRY_MOST, retry_after);
        uploads_kick(upload->uploads);
}

static void upload_retry_answer(Upload *upload, const ApiAnswer *answer, const char *what) {
        status_problem(upload->uploads->broker, answer->status == 0 ? PROBLEM_CONTROL_PLANE : PROBLEM_UPLOAD,
                       "Cannot %s a segment: %s.", what, answer->text);
        upload_retry(upload, answer->retry_after);
}

static void upload_release(Upload *upload) {
        Uploads *uploads = upload->uploads;
        Broker *broker = uploads->broker;

        recordings_completed(broker->recordings, upload->recording, upload->ready.sequence,
                             upload->ready.end_realtime);
        log_debug("Segment %u is complete.", upload->ready.sequence);
        broker->status.last_upload = clock_realtime();
        broker->status.n_completed++;
        status_resolved(broker, PROBLEM_UPLOAD);
        status_resolved(broker, PROBLEM_CONTROL_PLANE);
        bus_changed(broker->bus);
        sd_id128_t recording = upload->recording;
        uint32_t sequence = upload->ready.sequence;
        upload_free(upload);
        (void) uploadd_send_release(broker->uploadd, recording, sequence);
        uploads_kick(uploads);
}

static void upload_on_completed(ApiCall *call _unused_, const ApiAnswer *answer, void *userdata) {
        Upload *upload = userdata;
        bool no_recording = strcmp(answer->code, "recording_unknown") == 0;

        if (no_recording || strcmp(answer->code, "segment_unknown") == 0) {
                /* The control plane was restored as it was before: it is told of it anew, and the bucket
                 * says that it has it. */
                if (no_recording)
                        recordings_forgotten(upload->uploads->broker->recordings, upload->recording);
                upload->uploaded = false;
                upload_retry(upload, 0);
        } else if (answer->error < 0)
                upload_retry_answer(upload, answer, "complete");
        else
                upload_release(upload);
}

static void upload_complete(Upload *upload) {
        char path[120], sha256[65], recording[SD_ID128_UUID_STRING_MAX];
        int r;

        upload->state = UPLOAD_COMPLETING;
        upload->uploaded = true;
        for (size_t i = 0; i < sizeof(upload->ready.sha256); i++)
                snprintf(sha256 + 2 * i, 3, "%02x", upload->ready.sha256[i]);
        snprintf(path, sizeof(path), "/v1/recordings/%s/segments/%u/complete",
                 sd_id128_to_uuid_string(upload->recording, recording), upload->ready.sequence);
        json_auto_t *json = json_pack("{s:s}", "sha256", sha256);
        r = json ? api_call_new(&upload->call, upload->uploads->broker->api,
                                &(ApiRequest){ .method = "POST", .path = path, .json = json },
                                upload_on_completed, upload)
                 : -ENOMEM;
        if (r < 0)
                upload_retry_answer(upload, &(ApiAnswer){ .text = strerror(-r) }, "complete");
}

static void upload_on_resolved(Resolve *resolve _unused_, const struct wire_address *addresses,
                               size_t n_addresses, const char *text, void *userdata) {
        Upload *upload = userdata;
        Broker *broker = upload->uploads->broker;

        if (n_addresses == 0) {
                status_problem(broker, PROBLEM_UPLOAD, "Cannot find the address of the bucket's host: %s.",
                               text);
                upload_retry(upload, 0);
                return;
        }
        memcpy(upload->order->addresses, addresses, n_addresses * sizeof(*addresses));
        upload->resolve = resolve_free(upload->resolve);
        upload->order->n_addresses = (uint32_t) n_addresses;
        upload->state = UPLOAD_UPLOADING;
        upload->not_before = clock_boottime() + UPLOAD_PATIENCE;
        _cleanup_free_ struct wire_broker_upload *order = TAKE_PTR(upload->order);
        (void) uploadd_send_upload(broker->uploadd, order);
}

/* uploadd judges the same by itself; here it is said early, and in one place. */
static bool upload_pinned(Upload *upload, const char *host, uint16_t port) {
        Broker *broker = upload->uploads->broker;

        if (http_url_pinned(broker->settings.bucket_hosts, upload->order->url))
                return true;
        status_problem(broker, PROBLEM_UPLOAD,
                       "Nothing is uploaded: %s %.200s:%u is not pinned in [Bucket] Hosts= of %s.",
                       http_host_pinned(broker->settings.bucket_hosts, host, port) ? "this bucket of host"
                                                                                   : "bucket host",
                       host, port, broker->settings.config);
        return false;
}

static void upload_on_presigned(ApiCall *call _unused_, const ApiAnswer *answer, void *userdata) {
        Upload *upload = userdata;
        _cleanup_free_ char *host = NULL;
        uint16_t port = 0;
        int r = -ENOMEM;

        if (strcmp(answer->code, "segment_complete") == 0) {
                upload->call = api_call_free(upload->call);
                upload_complete(upload);
                return;
        }
        if (strcmp(answer->code, "recording_unknown") == 0) {
                recordings_forgotten(upload->uploads->broker->recordings, upload->recording);
                upload_retry(upload, 0);
                return;
        }
        if (answer->error < 0) {
                upload_retry_answer(upload, answer, "get an upload URL for");
                return;
        }
        if ((upload->order = calloc(1, sizeof(*upload->order)))) {
                upload->order->type = WIRE_BROKER_UPLOAD;
                upload->order->sequence = upload->ready.sequence;
                memcpy(upload->order->recording, upload->recording.bytes, sizeof(upload->order->recording));
                r = upload_order_parse(answer->json, upload->order, &host, &port);
        }
        if (r < 0) {
                upload_retry_answer(upload,
                                    &(ApiAnswer){ .status = answer->status,
                                                  .text = "the control plane's answer is no upload order" },
                                    "get an upload URL for");
                return;
        }
        if (!upload_pinned(upload, host, port)) {
                upload_retry(upload, RETRY_MOST);
                return;
        }
        upload->call = api_call_free(upload->call);
        upload->state = UPLOAD_RESOLVING;
        r = resolve_new(&upload->resolve, upload->uploads->broker->event, host, upload_on_resolved, upload);
        if (r < 0)
                upload_on_resolved(NULL, NULL, 0, strerror(-r), upload);
}

static void upload_presign(Upload *upload) {
        char path[80], recording[SD_ID128_UUID_STRING_MAX];
        int r;

        upload->state = UPLOAD_PRESIGNING;
        snprintf(path, sizeof(path), "/v1/recordings/%s/segments",
                 sd_id128_to_uuid_string(upload->recording, recording));
        json_auto_t *json = NULL;
        r = upload_order_request(&upload->uploads->broker->identity, &upload->ready, &json);
        if (r >= 0)
                r = api_call_new(&upload->call, upload->uploads->broker->api,
                                 &(ApiRequest){ .method = "POST", .path = path, .json = json },
                                 upload_on_presigned, upload);
        if (r < 0)
                upload_retry_answer(upload, &(ApiAnswer){ .text = strerror(-r) }, "get an upload URL for");
}

static bool upload_ready_to_start(Upload *upload) {
        int r;

        if (upload->uploaded)
                return true;
        r = recordings_prepare(upload->uploads->broker->recordings, upload->recording,
                               upload->ready.start_realtime);
        if (r < 0)
                log_warning_errno(r, "Cannot keep account of another recording: %m");
        return r > 0;
}

/* One is presigned and uploaded at a time, in the order they were announced: a URL is good for a minute, and
 * uploadd has one uplink. Starting one may change the list, so that each round looks at it anew. */
static int uploads_on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Uploads *uploads = userdata;
        uint64_t now = clock_boottime(), next = UINT64_MAX;
        Upload *upload, *start = NULL;
        bool busy = false;

        if (!identity_enrolled(&uploads->broker->identity))
                return 0;
        TAILQ_FOREACH(upload, &uploads->list, list) {
                if (upload->state == UPLOAD_UPLOADING && upload->not_before <= now) {
                        log_warning("uploadd does not say what became of segment %u: once more.",
                                    upload->ready.sequence);
                        upload->state = UPLOAD_WAITING;
                        upload->not_before = now;
                }
                busy = busy || (upload->state != UPLOAD_WAITING && upload->state != UPLOAD_COMPLETING);
        }
        TAILQ_FOREACH(upload, &uploads->list, list) {
                if (upload->state == UPLOAD_UPLOADING ||
                    (upload->state == UPLOAD_WAITING && upload->not_before > now))
                        next = upload->not_before < next ? upload->not_before : next;
                else if (upload->state == UPLOAD_WAITING && !start && (upload->uploaded || !busy) &&
                         upload_ready_to_start(upload))
                        start = upload;
        }
        if (next != UINT64_MAX) {
                int r = sd_event_source_set_time(uploads->timer, next);
                if (r >= 0)
                        r = sd_event_source_set_enabled(uploads->timer, SD_EVENT_ONESHOT);
                if (r < 0)
                        return sd_event_exit(uploads->broker->event,
                                             log_error_errno(r, "Cannot set a timer: %m"));
        }
        if (start && start->uploaded) {
                uploads_kick(uploads); /* there may be more of these */
                upload_complete(start);
        } else if (start)
                upload_presign(start);
        return 0;
}

void uploads_kick(Uploads *uploads) {
        int r = sd_event_source_set_time(uploads->timer, 0);
        if (r >= 0)
                r = sd_event_source_set_enabled(uploads->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) sd_event_exit(uploads->broker->event, log_error_errno(r, "Cannot set a timer: %m"));
}

void uploads_retry_now(Uploads *uploads) {
        Upload *upload;

        TAILQ_FOREACH(upload, &uploads->list, list)
        if (upload->state == UPLOAD_WAITING) {
                upload->not_before = 0;
                backoff_reset(&upload->backoff);
        }
        uploads_kick(uploads);
}

int uploads_segment_ready(Uploads *uploads, const struct wire_broker_segment_ready *ready) {
        sd_id128_t recording;
        Upload *upload;

        memcpy(recording.bytes, ready->recording, sizeof(recording.bytes));
        if (ready->size == 0 || ready->size > CAPTURE_SEGMENT_BYTES_MAX || ready->sequence > 99999999 ||
            ready->start_realtime == 0 || ready->end_realtime < ready->start_realtime ||
            ready->end_realtime > CLOCK_REALTIME_MAX || ready->final > 1 || sd_id128_is_null(recording))
                return -EBADMSG;
        upload = uploads_find(uploads, recording, ready->sequence);
        if (upload) /* what is signed of a segment is what was said of it first */
                return memcmp(&upload->ready, ready, sizeof(*ready)) == 0 ? 0 : -EBADMSG;
        if (uploads->count >= UPLOADS_MAX)
                return -ENOBUFS;

        if (!(upload = calloc(1, sizeof(*upload))))
                return -ENOMEM;
        *upload = (Upload){ .uploads = uploads, .ready = *ready, .recording = recording };
        TAILQ_INSERT_TAIL(&uploads->list, upload, list);
        uploads->count++;
        uploads_kick(uploads);
        return 0;
}

void uploads_uploaded(Uploads *uploads, sd_id128_t recording, uint32_t sequence) {
        Upload *upload = uploads_find(uploads, recording, sequence);

        if (!upload || upload->state != UPLOAD_UPLOADING)
                return;
        backoff_reset(&upload->backoff);
        upload_complete(upload);
        uploads_kick(uploads);
}

void uploads_failed(Uploads *uploads, sd_id128_t recording, uint32_t sequence, int error, const char *text) {
        Upload *upload = uploads_find(uploads, recording, sequence);
        char id[SD_ID128_UUID_STRING_MAX];

        uploads->broker->status.n_failed++;
        status_problem(uploads->broker, PROBLEM_UPLOAD, "Segment %u was not uploaded: %s", sequence, text);
        bus_emit_upload_failed(uploads->broker->bus, sd_id128_to_uuid_string(recording, id), sequence, text);
        if (upload && upload->state == UPLOAD_UPLOADING)
                upload_retry(upload, error == -EACCES ? RETRY_MOST : 0);
}

void uploads_disconnected(Uploads *uploads) {
        Upload *upload;

        while ((upload = TAILQ_FIRST(&uploads->list)))
                upload_free(upload);
}

int uploads_new(Uploads **ret, Broker *broker) {
        Uploads *uploads = calloc(1, sizeof(*uploads));
        int r;

        if (!uploads)
                return -ENOMEM;
        uploads->broker = broker;
        TAILQ_INIT(&uploads->list);
        r = sd_event_add_time(broker->event, &uploads->timer, CLOCK_BOOTTIME, UINT64_MAX, 1, uploads_on_time,
                              uploads);
        if (r >= 0)
                r = sd_event_source_set_enabled(uploads->timer, SD_EVENT_OFF);
        if (r < 0) {
                uploads_free(uploads);
                return r;
        }
        *ret = uploads;
        return 0;
}

Uploads *uploads_free(Uploads *uploads) {
        if (!uploads)
                return NULL;
        uploads_disconnected(uploads);
        sd_event_source_disable_unref(uploads->timer);
        free(uploads);
        return NULL;
}
