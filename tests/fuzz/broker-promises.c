/* SPDX-License-Identifier: Apache-2.0 */
#include "broker-promises.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bus-properties.h"
#include "jws.h"
#include "text.h"
#include "token.h"
#include "wire-pairs.h"
#include "wire.h"

/* Longer than anything makes it wait to ask for the policy again, but for Retry-After. */
#define POLICY_PATIENCE UINT64_C(600000000)
/* Of what is announced and not released. */
#define SEGMENTS_MAX 256U

/* As announced last on the connection that is open now. */
typedef struct Segment {
        struct wire_broker_segment_ready ready;
        bool before;    /* or until now, and brokerd goes on with it until the loop has come to rest */
        bool fresh;     /* since it came to rest */
        bool unsure;    /* brokerd has read it before the device left, and forgotten it, or after */
        char *url;      /* that the control plane gave for it, NULL: none */
        bool confirmed; /* the control plane has said that it is complete */
} Segment;

/* Of a recording, since the beginning. */
typedef struct Count {
        uint8_t recording[16];
        uint32_t completed; /* the highest sequence that was confirmed, plus one */
        uint32_t told;      /* the most that uploadd has said it has */
} Count;

static struct {
        CaptureLimits limits;
        sd_id128_t device;
        bool enrolled, started, stopped; /* of people: it may record by hand; it must not record */
        bool known;
        CapturePolicy policy;

        Segment *segments;
        size_t n_segments;
        Count *counts;
        size_t n_counts;

        bool recording, granted; /* what uploadd and capd believe */
        uint32_t hold;
        uint64_t paused; /* when somebody asked for it last: µs of CLOCK_BOOTTIME */
        /* For the policy, or in vain for a token to ask for it with: µs of CLOCK_BOOTTIME, µs */
        uint64_t asked, retry_after;
} model;

void promise_broken(const char *what) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
}

static uint64_t now(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void *grow(void *array, size_t n, size_t size) {
        /* By powers of two. */
        if (n & (n - 1))
                return array;
        array = realloc(array, (n ? 2 * n : 1) * size);
        if (!array)
                fuzz_die("realloc");
        return array;
}

static bool segment_is(const Segment *segment, const uint8_t recording[static 16], uint32_t sequence) {
        return segment->ready.sequence == sequence && memcmp(segment->ready.recording, recording, 16) == 0;
}

static Segment *segment_find(const uint8_t recording[static 16], uint32_t sequence) {
        for (size_t i = 0; i < model.n_segments; i++)
                if (!model.segments[i].before && segment_is(&model.segments[i], recording, sequence))
                        return &model.segments[i];
        return NULL;
}

/* The next one from start on that a request is about: of this connection, or of the one before. */
static Segment *segment_asked(const PlaneRequest *asked, const Segment *start) {
        for (size_t i = start ? (size_t) (start - model.segments) : 0; i < model.n_segments; i++)
                if (segment_is(&model.segments[i], asked->recording.bytes, asked->sequence) &&
                    memcmp(model.segments[i].ready.sha256, asked->sha256, sizeof(asked->sha256)) == 0)
                        return &model.segments[i];
        return NULL;
}

static void segment_forget(Segment *segment) {
        free(segment->url);
        *segment = model.segments[--model.n_segments];
}

static void segments_forget(void) {
        while (model.n_segments > 0)
                segment_forget(&model.segments[model.n_segments - 1]);
}

static Count *count_find(const uint8_t recording[static 16]) {
        for (size_t i = 0; i < model.n_counts; i++)
                if (memcmp(model.counts[i].recording, recording, 16) == 0)
                        return &model.counts[i];
        model.counts = grow(model.counts, model.n_counts, sizeof(Count));
        Count *count = &model.counts[model.n_counts++];
        *count = (Count){};
        memcpy(count->recording, recording, 16);
        return count;
}

void promise_limits(const CaptureLimits *limits) {
        model.limits = *limits;
}

void promise_begin(sd_id128_t device) {
        model.device = device;
        model.enrolled = true;
        model.asked = now();
}

void promise_end(void) {
        segments_forget();
        free(model.segments);
        free(model.counts);
        memset(&model, 0, sizeof(model));
}

void promise_restarted(void) {
        model.known = model.started = model.stopped = model.recording = model.granted = false;
        segments_forget();
}

void promise_start(void) {
        model.started = true;
        model.stopped = false;
}

void promise_stop(void) {
        model.stopped = model.enrolled;
}

void promise_pause(void) {
        model.paused = now();
}

/* ------------------------------------------------------------------ the control plane */

static bool statement_is_about(const json_t *claims, const Segment *segment) {
        char hex[65];

        for (size_t i = 0; i < sizeof(segment->ready.sha256); i++)
                snprintf(hex + 2 * i, 3, "%02x", segment->ready.sha256[i]);
        return strcmp(json_string_value(json_object_get(claims, "sha256")) ?: "", hex) == 0 &&
               json_integer_value(json_object_get(claims, "sequence")) == segment->ready.sequence &&
               json_integer_value(json_object_get(claims, "size")) == (json_int_t) segment->ready.size;
}

/* Nothing is signed that uploadd has not announced. What it said before and what it says now may have one
 * digest, and else nothing in common. */
static void check_statement(const PlaneRequest *asked, const json_t *json) {
        const Segment *segment = segment_asked(asked, NULL);
        const char *text = json_string_value(json_object_get(json, "statement"));
        json_auto_t *claims = NULL;

        if (!segment)
                promise_broken("an upload URL is asked for a segment that was not announced");
        if (!text || jws_claims_unverified(text, &claims) < 0)
                promise_broken("a segment without a statement");
        while (segment && !statement_is_about(claims, segment))
                segment = segment_asked(asked, segment + 1);
        if (!segment)
                promise_broken("a statement about another segment");
}

void promise_asked(const PlaneRequest *asked, const json_t *json) {
        if (asked->kind == PLANE_POLICY)
                model.asked = now();
        if (asked->kind != PLANE_ENROL && !model.enrolled)
                promise_broken("a request of a device that is not enrolled");
        if (asked->kind == PLANE_PRESIGN)
                check_statement(asked, json);
        if (asked->kind == PLANE_FINISH) {
                const Count *count = count_find(asked->recording.bytes);

                if (asked->number > count->completed && asked->number > count->told)
                        promise_broken("a recording ends with segments that nobody has told of");
        }
}

static void take_policy(const HttpResult *result) {
        CapturePolicy policy;
        char error[256];

        if (result->status == 304 ||
            capture_policy_parse(result->body, result->body_size, &policy, error, sizeof(error)) < 0 ||
            !sd_id128_equal(policy.device, model.device))
                return;
        model.policy = policy;
        model.known = true;
}

static void take_order(const PlaneRequest *asked, const HttpResult *result) {
        json_auto_t *json = json_loadb(result->body, result->body_size, 0, NULL);
        const char *url = json_string_value(json_object_get(json, "url"));
        Segment *segment = NULL;

        while ((segment = segment_asked(asked, segment))) {
                free(segment->url);
                segment->url = url ? strdup(url) : NULL;
                segment++;
        }
}

static void take_completion(const PlaneRequest *asked) {
        Count *count = count_find(asked->recording.bytes);
        Segment *segment = NULL;

        if (asked->sequence >= count->completed)
                count->completed = asked->sequence + 1;
        while ((segment = segment_asked(asked, segment)))
                segment++->confirmed = true;
}

static void take_enrolment(const HttpResult *result) {
        json_auto_t *json = json_loadb(result->body, result->body_size, 0, NULL);
        const char *device = json_string_value(json_object_get(json, "device_id"));

        if (!device || sd_id128_from_string(device, &model.device) < 0)
                return;
        model.enrolled = true;
        model.started = model.stopped = false;
        model.asked = now();
        model.retry_after = 0;
}

static bool is_token(const HttpResult *result) {
        json_auto_t *json = json_loadb(result->body, result->body_size, 0, NULL);
        Token token = {};
        int r = token_take(&token, json);

        token_forget(&token);
        return r >= 0;
}

/* brokerd forgets what was announced, and goes on with it until the loop has come to rest. */
static void leave(void) {
        model.enrolled = model.known = model.started = model.stopped = false;
        for (size_t i = 0; i < model.n_segments; i++)
                if (model.segments[i].fresh)
                        model.segments[i].unsure = true;
                else
                        model.segments[i].before = true;
}

void promise_answered(const PlaneRequest *asked, const HttpResult *result) {
        bool taken = result->error == 0 && result->status >= 200 && result->status <= 299;

        if (asked->kind == PLANE_TOKEN || asked->kind == PLANE_POLICY)
                model.retry_after = result->retry_after;
        if (asked->kind == PLANE_TOKEN && !(taken && is_token(result)))
                model.asked = now();
        /* However it is answered. */
        if (asked->kind == PLANE_LEAVE && result->status != 401)
                leave();
        if (!taken)
                return;
        if (asked->kind == PLANE_POLICY)
                take_policy(result);
        else if (asked->kind == PLANE_PRESIGN)
                take_order(asked, result);
        else if (asked->kind == PLANE_COMPLETE)
                take_completion(asked);
        else if (asked->kind == PLANE_ENROL)
                take_enrolment(result);
}

/* ------------------------------------------------------------------ uploadd */

static void hung_up(void) {
        for (size_t i = 0; i < model.n_segments; i++)
                model.segments[i].before = true;
        model.recording = false;
}

void promise_connected(unsigned channel) {
        if (channel == PROMISE_UPLOADD)
                hung_up();
}

/* Should it be announced already, and anything of it be said otherwise, then either brokerd has forgotten
 * that with its enrolment, or it ends the connection. */
static void announced(const struct wire_broker_segment_ready *ready) {
        Segment *segment = segment_find(ready->recording, ready->sequence);

        if (segment && memcmp(&segment->ready, ready, sizeof(*ready)) == 0) {
                segment->fresh = true;
                segment->unsure = false;
                return;
        }
        if (segment)
                segment->before = true;
        model.segments = grow(model.segments, model.n_segments, sizeof(Segment));
        model.segments[model.n_segments++] = (Segment){ .ready = *ready, .fresh = true };
}

void promise_said(unsigned channel, const void *bytes, size_t size) {
        const struct wire_broker_recording *finished = bytes;

        if (channel != PROMISE_UPLOADD || size < sizeof(*finished))
                return;
        if (finished->type == WIRE_BROKER_SEGMENT_READY && size == sizeof(struct wire_broker_segment_ready))
                announced(bytes);
        if (finished->type == WIRE_BROKER_FINISHED && size == sizeof(*finished)) {
                Count *count = count_find(finished->recording);

                if (finished->n_segments > count->told)
                        count->told = finished->n_segments;
        }
}

static uint64_t lower(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* Of two ceilings, 0 is none. */
static uint64_t lower_ceiling(uint64_t a, uint64_t b) {
        return a == 0 || b == 0 ? a + b : lower(a, b);
}

/* Nothing is recorded but what the machine's administrator, the control plane and whoever sits there all
 * allow: what is true of a grant and of a recording. */
static void check_leave(uint64_t interval) {
        RecordingMode mode = (RecordingMode) lower(model.limits.recording, model.policy.recording);

        if (!model.enrolled || !model.known || mode == RECORDING_OFF)
                promise_broken("a recording without a policy that wants it");
        if (mode == RECORDING_MANUAL && !model.started)
                promise_broken("a recording that nobody has begun");
        if (interval < 1000000000 / lower(model.limits.frames_per_second, model.policy.frames_per_second))
                promise_broken("more frames than are allowed");
}

static void check_record(const struct wire_broker_record *record) {
        check_leave(record->frame_interval);
        if (memcmp(record->device, model.device.bytes, sizeof(record->device)) != 0)
                promise_broken("a recording of another device");
        if (record->quality > lower(model.limits.jpeg_quality, model.policy.jpeg_quality) ||
            record->segment_seconds > model.policy.segment_seconds ||
            record->segment_bytes > model.policy.segment_bytes ||
            record->bytes_per_minute !=
                            lower_ceiling(model.limits.bytes_per_minute, model.policy.bytes_per_minute) ||
            record->cpu_ms_per_second !=
                            lower_ceiling(model.limits.cpu_ms_per_second, model.policy.cpu_ms_per_second))
                promise_broken("a recording beyond the limits");
        model.recording = true;
        model.hold = record->hold;
}

static bool ends(const char *array, size_t size) {
        return memchr(array, '\0', size) != NULL;
}

/* The bucket that the administrator has named, port 443, and nobody's name before it. */
static bool leads_to_bucket(const char *url) {
        const char https[] = "https://", host[] = PROMISE_BUCKET;

        if (strncasecmp(url, https, strlen(https)) != 0 ||
            strncasecmp(url + strlen(https), host, strlen(host)) != 0)
                return false;
        url += strlen(https) + strlen(host);
        if (*url == ':')
                for (url++; *url == '0'; url++)
                        ;
        url += strncmp(url, "443", 3) == 0 ? 3 : 0;
        return *url == '\0' || *url == '/' || *url == '?';
}

static void check_upload(const struct wire_broker_upload *order) {
        const Segment *segment = segment_find(order->recording, order->sequence);

        if (!segment)
                promise_broken("an order to upload what was not announced");
        if (!ends(order->url, sizeof(order->url)) || !segment->url || strcmp(order->url, segment->url) != 0)
                promise_broken("an order with another address than the control plane gave for that segment");
        if (!leads_to_bucket(order->url))
                promise_broken("an order to upload somewhere else");
        if (order->n_headers > WIRE_HEADERS_MAX || order->n_addresses == 0 ||
            order->n_addresses > WIRE_ADDRESSES_MAX)
                promise_broken("an order beyond its message");
        for (uint32_t i = 0; i < order->n_headers; i++)
                if (!ends(order->headers[i].name, sizeof(order->headers[i].name)) ||
                    !ends(order->headers[i].value, sizeof(order->headers[i].value)))
                        promise_broken("an order with a header that does not end");
}

static void check_release(const struct wire_broker_segment *release) {
        Segment *segment = segment_find(release->recording, release->sequence);

        if (!segment || !segment->confirmed)
                promise_broken("a segment is released that the control plane has not confirmed");
        segment_forget(segment);
}

static void heard_by_uploadd(const void *bytes, size_t size) {
        const struct wire_broker_hold *hold = bytes;

        switch (hold->type) {
        case WIRE_BROKER_RECORD:
                if (size != sizeof(struct wire_broker_record))
                        promise_broken("a message of another size");
                check_record(bytes);
                break;
        case WIRE_BROKER_STOP:
                model.recording = false;
                break;
        case WIRE_BROKER_HOLD:
                model.hold = hold->hold;
                break;
        case WIRE_BROKER_UPLOAD:
                if (size != sizeof(struct wire_broker_upload))
                        promise_broken("a message of another size");
                check_upload(bytes);
                break;
        case WIRE_BROKER_RELEASE:
                check_release(bytes);
                break;
        default:
                break;
        }
}

/* ------------------------------------------------------------------ capd */

static void heard_by_capd(const void *bytes, size_t size) {
        const struct wire_control_grant *grant = bytes;

        if (grant->type == WIRE_CONTROL_REVOKE)
                model.granted = false;
        if (grant->type != WIRE_CONTROL_GRANT)
                return;
        if (size != sizeof(*grant) || grant->min_interval < WIRE_GRANT_INTERVAL_MIN ||
            grant->expires > now() * 1000 + WIRE_GRANT_LIFETIME_MAX)
                promise_broken("a grant that lasts, or shows, too much");
        check_leave(grant->min_interval);
        model.granted = true;
}

void promise_heard(unsigned channel, const void *bytes, size_t size) {
        if (size == 0 && channel == PROMISE_UPLOADD)
                hung_up();
        else if (size == 0)
                model.granted = false;
        else if (channel == PROMISE_UPLOADD)
                heard_by_uploadd(bytes, size);
        else
                heard_by_capd(bytes, size);
}

/* ------------------------------------------------------------------ at rest */

/* µs, and what the timer may be late. */
static uint64_t pause_max(void) {
        return lower(model.limits.pause_seconds, model.policy.pause_seconds) * 1000000 + 20000;
}

/* A text that is not clean keeps a message from the bus, and may do things to a terminal. */
static void check_properties(const Broker *broker) {
        for (size_t i = 0; i < BUS_PROPERTIES; i++)
                if (bus_properties[i].string && !text_is_clean(bus_properties[i].string(broker)))
                        promise_broken("a property that the bus does not take");
}

static void segments_rest(void) {
        size_t n = 0;

        for (size_t i = model.n_segments; i > 0; i--) {
                Segment *segment = &model.segments[i - 1];
                if (segment->before) {
                        segment_forget(segment);
                        continue;
                }
                segment->fresh = false;
                n += !segment->unsure;
        }
        if (n > SEGMENTS_MAX)
                promise_broken("more segments than there is room for");
}

void promise_rests(const Broker *broker, bool locked) {
        if (sd_event_get_state(broker->event) == SD_EVENT_FINISHED)
                promise_broken("brokerd has ended for what others say");
        if (model.granted && (!model.recording || model.hold != WIRE_HOLD_NONE || model.stopped))
                promise_broken("a grant without a recording that goes on");
        if (model.granted && locked && !(model.limits.record_locked && model.policy.record_locked))
                promise_broken("a grant while the session is locked");
        if (model.recording && model.hold == WIRE_HOLD_PAUSED && now() > model.paused + pause_max())
                promise_broken("a pause that is longer than is allowed");
        if (identity_enrolled(&broker->identity) &&
            now() > model.asked + model.retry_after + POLICY_PATIENCE)
                promise_broken("the policy is asked for no more");
        check_properties(broker);
        /* Also without having told the control plane, which it could not. */
        if (model.enrolled && !identity_enrolled(&broker->identity))
                leave();
        segments_rest();
}
