/* SPDX-License-Identifier: Apache-2.0 */

#include "recordings.h"

#include <string.h>
#include <sys/queue.h>

#include "backoff.h"
#include "clock.h"
#include "log.h"
#include "state-file.h"
#include "statement.h"
#include "uploadd.h"
#include "uploads.h"

#define RETRY_LEAST    UINT64_C(1000000)
#define RETRY_MOST     UINT64_C(60000000)
#define OUTPUTS_WAIT   UINT64_C(5000000) /* how long a recording waits to be told with its outputs */
#define RECORDINGS_MAX 256U
#define STATE_FILE     "recordings.json"
#define STATE_SIZE_MAX 131072U /* more than RECORDINGS_MAX of them take */

typedef struct Recording {
        LIST_ENTRY(Recording) list;
        Recordings *recordings;
        sd_id128_t id;
        char id_text[SD_ID128_UUID_STRING_MAX];
        uint64_t started, ended; /* µs of CLOCK_REALTIME; ended of the last segment or at the stop */
        const char *reason;
        const char *end_reason;
        bool registered, finished;
        uint32_t n_segments;  /* once finished */
        uint32_t n_completed; /* the highest sequence that arrived, plus one */
        sd_event_source *timer;
        Backoff backoff;
        ApiCall *call;
} Recording;

struct Recordings {
        Broker *broker;
        unsigned count;
        LIST_HEAD(, Recording) list;
};

static void recording_step(Recording *recording);

static Recording *recording_free(Recording *recording) {
        if (!recording)
                return NULL;
        LIST_REMOVE(recording, list);
        recording->recordings->count--;
        sd_event_source_disable_unref(recording->timer);
        api_call_free(recording->call);
        free(recording);
        return NULL;
}

/* The unit says it: ProcSubset=pid hides where the kernel does. */
static int boot_id(sd_id128_t *ret) {
        const char *text = getenv("STREAMSIGHT_BOOT_ID");

        return text ? sd_id128_from_string(text, ret) : sd_id128_get_boot(ret);
}

/* What is not finished, so that the next start can finish it, should uploadd be gone by then as well. Which
 * boot and which uploadd it is says that. */
static void recordings_save(Recordings *recordings) {
        const Broker *broker = recordings->broker;
        char boot_text[SD_ID128_STRING_MAX];
        _cleanup_free_ char *text = NULL;
        const Recording *recording;
        sd_id128_t boot;
        int r;

        r = boot_id(&boot);
        if (r >= 0) {
                json_auto_t *list = json_array();

                LIST_FOREACH(recording, &recordings->list, list) {
                        json_t *item = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s}", "id", recording->id_text,
                                                 "reason", recording->reason, "started",
                                                 (json_int_t) recording->started, "ended",
                                                 (json_int_t) recording->ended, "completed",
                                                 (json_int_t) recording->n_completed, "end_reason",
                                                 recording->end_reason);
                        if (item && recording->finished)
                                json_object_set_new(item, "segments", json_integer(recording->n_segments));
                        json_array_append_new(list, item);
                }
                json_auto_t *json = json_pack("{s:s, s:I, s:O}", "boot", sd_id128_to_string(boot, boot_text),
                                              "uploadd", (json_int_t) uploadd_pid(broker->uploadd),
                                              "recordings", list);
                text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
                r = text ? state_file_write(broker->settings.state_directory, STATE_FILE, text, strlen(text))
                         : -ENOMEM;
        }
        if (r < 0)
                log_warning_errno(r, "Cannot keep account of the recordings in %s: %m",
                                  broker->settings.state_directory);
}

static Recording *recordings_find(Recordings *recordings, sd_id128_t id) {
        Recording *recording;

        LIST_FOREACH(recording, &recordings->list, list)
        if (sd_id128_equal(recording->id, id))
                return recording;
        return NULL;
}

static void recording_after(Recording *recording, uint64_t delay) {
        int r = sd_event_source_set_time_relative(recording->timer, delay);
        if (r >= 0)
                r = sd_event_source_set_enabled(recording->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) sd_event_exit(recording->recordings->broker->event,
                                     log_error_errno(r, "Cannot set a timer: %m"));
}

static int recording_on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        recording_step(userdata);
        return 0;
}

static int recording_new(Recording **ret, Recordings *recordings, sd_id128_t id, uint64_t started,
                         const char *reason) {
        Recording *recording;
        int r;

        if (recordings->count >= RECORDINGS_MAX)
                return -ENOBUFS;
        if (!(recording = calloc(1, sizeof(*recording))))
                return -ENOMEM;
        *recording = (Recording){ .recordings = recordings,
                                  .id = id,
                                  .started = started,
                                  .ended = started,
                                  .reason = reason,
                                  .end_reason = "interrupted" };
        sd_id128_to_uuid_string(id, recording->id_text);
        LIST_INSERT_HEAD(&recordings->list, recording, list);
        recordings->count++;
        r = sd_event_add_time_relative(recordings->broker->event, &recording->timer, CLOCK_BOOTTIME,
                                       OUTPUTS_WAIT, 0, recording_on_time, recording);
        if (r < 0) {
                recording_free(recording);
                return r;
        }
        *ret = recording;
        return 0;
}

static void recording_retry(Recording *recording, const ApiAnswer *answer, const char *what) {
        status_problem(recording->recordings->broker, PROBLEM_CONTROL_PLANE, "Cannot %s recording %s: %s.",
                       what, recording->id_text, answer->text);
        recording_after(recording,
                        backoff_next(&recording->backoff, RETRY_LEAST, RETRY_MOST, answer->retry_after));
}

static void recording_on_registered(ApiCall *call, const ApiAnswer *answer, void *userdata) {
        Recording *recording = userdata;

        recording->call = NULL;
        /* A conflict says that it is known, with other details: told before an answer was lost or this
         * process restarted. Should it be another device's, the first segment of it will be refused. */
        if (answer->error < 0 && strcmp(answer->code, "recording_conflict") != 0)
                recording_retry(recording, answer, "register");
        else {
                Uploads *uploads = recording->recordings->broker->uploads;

                recording->registered = true;
                if (answer->error == 0)
                        backoff_reset(&recording->backoff);
                recording_step(recording);
                uploads_kick(uploads);
        }
        api_call_free(call);
}

static void recording_on_finished(ApiCall *call, const ApiAnswer *answer, void *userdata) {
        Recording *recording = userdata;

        recording->call = NULL;
        if (answer->error < 0 && answer->transient)
                recording_retry(recording, answer, "finish");
        else {
                if (answer->error < 0)
                        log_error("The control plane does not accept the end of recording %s: %s.",
                                  recording->id_text, answer->text);
                else
                        log_info("Recording %s is complete: %u segments.", recording->id_text,
                                 recording->n_segments);
                Recordings *recordings = recording->recordings;
                recording_free(recording);
                recordings_save(recordings);
        }
        api_call_free(call);
}

static json_t *outputs_json(const struct wire_broker_stats *stats) {
        json_t *outputs = json_array();

        for (uint32_t i = 0; i < stats->n_outputs; i++) {
                const struct wire_output *output = &stats->outputs[i];
                json_array_append_new(outputs, json_pack("{s:i, s:s, s:i, s:i}", "id", (int) output->id,
                                                         "name", output->name, "width", (int) output->width,
                                                         "height", (int) output->height));
        }
        return outputs;
}

static void recording_register(Recording *recording) {
        Broker *broker = recording->recordings->broker;
        char path[80], started[CLOCK_RFC3339_SIZE], hostname[256] = "";
        int r;

        snprintf(path, sizeof(path), "/v1/recordings/%s", recording->id_text);
        clock_format_rfc3339(recording->started, started);
        (void) gethostname(hostname, sizeof(hostname) - 1);
        json_auto_t *json = json_pack("{s:s, s:s, s:s, s:o}", "started_at", started, "reason",
                                      recording->reason, "hostname", hostname, "outputs",
                                      outputs_json(uploadd_stats(broker->uploadd)));
        r = json ? api_call_new(&recording->call, broker->api,
                                &(ApiRequest){ .method = "PUT", .path = path, .json = json },
                                recording_on_registered, recording)
                 : -ENOMEM;
        if (r < 0)
                recording_retry(recording, &(ApiAnswer){ .text = strerror(-r) }, "register");
}

static int finish_request(const Recording *recording, json_t **ret) {
        const Identity *identity = &recording->recordings->broker->identity;
        RecordingStatement statement = { .segments = recording->n_segments };
        _cleanup_free_ char *text = NULL;
        int r;

        sd_id128_to_uuid_string(identity->device, statement.device);
        sd_id128_to_uuid_string(recording->id, statement.recording);
        snprintf(statement.reason, sizeof(statement.reason), "%s", recording->end_reason);
        clock_format_rfc3339(recording->ended, statement.ended_at);
        r = recording_statement_sign(identity->key, &statement, &text);
        if (r < 0)
                return r;
        json_t *request = json_pack("{s:I, s:s, s:s, s:s}", "segments", (json_int_t) statement.segments,
                                    "ended_at", statement.ended_at, "reason", statement.reason, "statement",
                                    text);
        if (!request)
                return -ENOMEM;
        *ret = request;
        return 0;
}

static void recording_finish(Recording *recording) {
        char path[80];
        int r;

        snprintf(path, sizeof(path), "/v1/recordings/%s/finish", recording->id_text);
        json_auto_t *json = NULL;
        r = finish_request(recording, &json);
        if (r >= 0)
                r = api_call_new(&recording->call, recording->recordings->broker->api,
                                 &(ApiRequest){ .method = "POST", .path = path, .json = json },
                                 recording_on_finished, recording);
        if (r < 0)
                recording_retry(recording, &(ApiAnswer){ .text = strerror(-r) }, "finish");
}

/* Tells the control plane what it is to know next. */
static void recording_step(Recording *recording) {
        if (recording->call)
                return;
        (void) sd_event_source_set_enabled(recording->timer, SD_EVENT_OFF);
        if (!recording->registered)
                recording_register(recording);
        else if (recording->finished)
                recording_finish(recording);
}

int recordings_begin(Recordings *recordings, sd_id128_t id, uint64_t started, const char *reason) {
        Recording *recording;
        int r;

        r = recording_new(&recording, recordings, id, started, reason);
        if (r >= 0)
                recordings_save(recordings);
        return r;
}

void recordings_void(Recordings *recordings, sd_id128_t id) {
        (void) recording_free(recordings_find(recordings, id));
        recordings_save(recordings);
}

void recordings_outputs_known(Recordings *recordings) {
        Recording *recording;

        LIST_FOREACH(recording, &recordings->list, list)
        if (!recording->registered && recording->backoff.failures == 0)
                recording_step(recording);
}

void recordings_stopped(Recordings *recordings, sd_id128_t id) {
        Recording *recording = recordings_find(recordings, id);

        if (!recording)
                return;
        /* That clock may have been set back. */
        if (clock_realtime() > recording->ended)
                recording->ended = clock_realtime();
        recording->end_reason = "stopped";
        recordings_save(recordings);
}

int recordings_finished(Recordings *recordings, sd_id128_t id, uint32_t n_segments) {
        Recording *recording = recordings_find(recordings, id);
        bool known = recording;
        int r;

        if (n_segments > INT32_MAX)
                return -EBADMSG;
        if (!recording) {
                r = recording_new(&recording, recordings, id, clock_realtime(), "policy");
                if (r < 0)
                        return r;
                recording->registered = true;
        } else if (recording->finished && strcmp(recording->end_reason, "stopped") == 0)
                return recording->n_segments == n_segments ? 0 : -EBADMSG; /* it has said so before */
        /* All of it is there, and uploadd forgets it now: whoever ended it, nothing has interrupted it. */
        recording->finished = true;
        recording->n_segments = n_segments;
        recording->end_reason = "stopped";
        /* Whoever makes recordings up is not to have the disk written for each. */
        if (known)
                recordings_save(recordings);
        if (recording->backoff.failures == 0)
                recording_step(recording);
        return 0;
}

void recordings_abandon(Recordings *recordings) {
        Recording *recording;

        LIST_FOREACH(recording, &recordings->list, list) {
                if (recording->finished)
                        continue;
                log_warning("Recording %s ends with the %u segments that have arrived: uploadd has lost the rest.",
                            recording->id_text, recording->n_completed);
                recording->finished = true;
                recording->n_segments = recording->n_completed;
                recording->end_reason = "interrupted";
                if (recording->backoff.failures == 0)
                        recording_after(recording, 0);
        }
}

int recordings_prepare(Recordings *recordings, sd_id128_t id, uint64_t started) {
        Recording *recording = recordings_find(recordings, id);
        int r;

        if (!recording) {
                r = recording_new(&recording, recordings, id, started, "policy");
                if (r < 0)
                        return r;
                /* Of an earlier life of this process: told of already, as a rule. */
                recording->registered = true;
        }
        if (!recording->registered && recording->backoff.failures == 0)
                recording_step(recording);
        return recording->registered;
}

void recordings_forgotten(Recordings *recordings, sd_id128_t id) {
        Recording *recording = recordings_find(recordings, id);

        if (!recording)
                return;
        recording->registered = false;
        recording_after(recording,
                        recording->backoff.failures++ == 0
                                        ? 0
                                        : backoff_next(&recording->backoff, RETRY_LEAST, RETRY_MOST, 0));
}

void recordings_completed(Recordings *recordings, sd_id128_t id, uint32_t sequence, uint64_t ended) {
        Recording *recording = recordings_find(recordings, id);

        if (!recording)
                return;
        if (sequence >= recording->n_completed)
                recording->n_completed = sequence + 1;
        if (ended > recording->ended)
                recording->ended = ended;
        recordings_save(recordings);
}

/* reason as this process writes it. */
static const char *known_reason(const char *reason) {
        return reason && strcmp(reason, "manual") == 0 ? "manual" : "policy";
}

static int recordings_load_one(Recordings *recordings, const json_t *json) {
        const char *text = json_string_value(json_object_get(json, "id"));
        json_int_t started = json_integer_value(json_object_get(json, "started"));
        json_int_t ended = json_integer_value(json_object_get(json, "ended"));
        json_int_t completed = json_integer_value(json_object_get(json, "completed"));
        const json_t *segments = json_object_get(json, "segments");
        const char *end_reason = json_string_value(json_object_get(json, "end_reason"));
        Recording *recording;
        sd_id128_t id;
        int r;

        if (!text || sd_id128_from_string(text, &id) < 0 || recordings_find(recordings, id) ||
            started <= 0 || ended < started || completed < 0 || completed > INT32_MAX ||
            json_integer_value(segments) < 0 || json_integer_value(segments) > INT32_MAX)
                return -EBADMSG;
        r = recording_new(&recording, recordings, id, (uint64_t) started,
                          known_reason(json_string_value(json_object_get(json, "reason"))));
        if (r < 0)
                return r;
        recording->ended = (uint64_t) ended;
        recording->n_completed = (uint32_t) completed;
        if (end_reason && strcmp(end_reason, "stopped") == 0)
                recording->end_reason = "stopped";
        if (segments) {
                recording->finished = true;
                recording->n_segments = (uint32_t) json_integer_value(segments);
        }
        return 0;
}

int recordings_load(Recordings *recordings, pid_t *ret_uploadd) {
        const char *directory = recordings->broker->settings.state_directory, *boot_text;
        _cleanup_free_ char *text = malloc(STATE_SIZE_MAX);
        json_auto_t *json = NULL;
        sd_id128_t boot, before;
        json_t *item;
        size_t size, i;
        int r;

        if (!text)
                return -ENOMEM;
        r = boot_id(&boot);
        if (r >= 0)
                r = state_file_read(directory, STATE_FILE, text, STATE_SIZE_MAX, &size);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        boot_text = json_string_value(json_object_get(json, "boot"));
        if (!boot_text || sd_id128_from_string(boot_text, &before) < 0)
                return -EBADMSG;
        if (!identity_enrolled(&recordings->broker->identity))
                return 0;
        json_array_foreach (json_object_get(json, "recordings"), i, item) {
                r = recordings_load_one(recordings, item);
                if (r == -EBADMSG)
                        log_warning("One of the recordings that are not finished, in %s, is none.",
                                    directory);
                else if (r < 0)
                        return r;
        }
        json_int_t pid = json_integer_value(json_object_get(json, "uploadd"));
        if (!sd_id128_equal(boot, before))
                recordings_abandon(recordings);
        else if (pid > 0 && pid <= INT32_MAX)
                *ret_uploadd = (pid_t) pid;
        return 0;
}

int recordings_new(Recordings **ret, Broker *broker) {
        Recordings *recordings = calloc(1, sizeof(*recordings));

        if (!recordings)
                return -ENOMEM;
        recordings->broker = broker;
        LIST_INIT(&recordings->list);
        *ret = recordings;
        return 0;
}

static void recordings_clear(Recordings *recordings) {
        Recording *recording;

        while ((recording = LIST_FIRST(&recordings->list)))
                recording_free(recording);
}

void recordings_forget(Recordings *recordings) {
        recordings_clear(recordings);
        (void) state_file_forget(recordings->broker->settings.state_directory, STATE_FILE);
}

Recordings *recordings_free(Recordings *recordings) {
        if (!recordings)
                return NULL;
        recordings_clear(recordings);
        free(recordings);
        return NULL;
}
