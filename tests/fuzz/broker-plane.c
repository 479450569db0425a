/* SPDX-License-Identifier: Apache-2.0 */
#include "broker-plane.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "broker-promises.h"
#include "wire-driver.h"
#include "wire-pairs.h"

#define ETAG_MAX 4096U
/* Of each kind, under way at a time: for a recording, for a segment, of which there are as many. */
#define REQUESTS_MAX 256U

typedef struct Answer {
        PlaneAnswer head;
        char etag[ETAG_MAX + 1];
        size_t size;
        char body[]; /* NUL-terminated */
} Answer;

struct HttpClient {
        sd_event *event;
        TAILQ_HEAD(, HttpRequest) running;
        unsigned count[_PLANE_MAX];
};

struct HttpRequest {
        TAILQ_ENTRY(HttpRequest) list;
        HttpClient *client; /* NULL once it is done */
        PlaneRequest asked;
        uint64_t deadline;       /* µs of CLOCK_BOOTTIME */
        sd_event_source *source; /* at the answer or the deadline, whichever comes first */
        Answer *answer;          /* NULL: none yet */
        HttpDone done;
        void *userdata;
};

static HttpClient *the_client;
/* For the next request of a kind, and for all. */
static Answer *next[_PLANE_MAX], *always[_PLANE_MAX];

static uint64_t now(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* ------------------------------------------------------------------ answers */

/* What libcurl takes for the end of a header cannot be in it. */
static void make_etag(const PlaneAnswer *head, char ret[static ETAG_MAX + 1]) {
        char once[sizeof(head->etag) + 1];
        size_t n = 0;

        memcpy(once, head->etag, sizeof(head->etag));
        once[sizeof(head->etag)] = '\0';
        once[strcspn(once, "\r\n")] = '\0';
        size_t length = strlen(once);
        for (unsigned i = 0; i <= head->etag_times && n + length <= ETAG_MAX; i++, n += length)
                memcpy(ret + n, once, length);
        ret[n] = '\0';
}

static Answer *answer_new(const void *bytes, size_t size) {
        Answer *answer = malloc(sizeof(*answer) + size + 1);

        if (!answer)
                fuzz_die("malloc");
        memset(&answer->head, 0, sizeof(answer->head));
        memcpy(&answer->head, bytes, size < sizeof(answer->head) ? size : sizeof(answer->head));
        answer->size = size > sizeof(answer->head) ? size - sizeof(answer->head) : 0;
        if (answer->size > 0)
                memcpy(answer->body, (const char *) bytes + sizeof(answer->head), answer->size);
        answer->body[answer->size] = '\0';
        make_etag(&answer->head, answer->etag);
        return answer;
}

static Answer *answer_again(const Answer *answer) {
        Answer *copy = malloc(sizeof(*copy) + answer->size + 1);

        if (!copy)
                fuzz_die("malloc");
        memcpy(copy, answer, sizeof(*copy) + answer->size + 1);
        return copy;
}

/* It stands there until it is the answer's time, or the request's is up. */
static void request_take(HttpRequest *request, Answer *answer) {
        uint64_t delay = answer->head.delay == 0 ? 0 : UINT64_C(1000) << answer->head.delay % 18;
        uint64_t time = now() + delay;

        request->answer = answer;
        if (sd_event_source_set_time(request->source, time < request->deadline ? time : request->deadline) <
            0)
                fuzz_die("a timer");
}

void plane_answer(const void *bytes, size_t size) {
        Answer *answer = answer_new(bytes, size);
        unsigned kind = answer->head.kind % _PLANE_MAX;
        HttpRequest *request;

        if (answer->head.flags & PLANE_ALWAYS) {
                free(always[kind]);
                always[kind] = answer_again(answer);
        }
        TAILQ_FOREACH(request, &the_client->running, list)
        if (request->asked.kind == kind && !request->answer) {
                request_take(request, answer);
                return;
        }
        free(next[kind]);
        next[kind] = answer;
}

void plane_end(void) {
        for (unsigned kind = 0; kind < _PLANE_MAX; kind++) {
                free(next[kind]);
                free(always[kind]);
                next[kind] = always[kind] = NULL;
        }
}

/* ------------------------------------------------------------------ requests */

static const char *string_of(const json_t *json, const char *name) {
        return json_string_value(json_object_get(json, name)) ?: "";
}

static void read_sha256(const json_t *json, uint8_t ret[static 32]) {
        const char *text = string_of(json, "sha256");

        if (strlen(text) != 64)
                promise_broken("a segment without its digest");
        for (size_t i = 0; i < 32; i++)
                if (sscanf(text + 2 * i, "%2hhx", &ret[i]) != 1)
                        promise_broken("a segment without its digest");
}

static bool read_recording_path(const char *method, const char *path, const json_t *json,
                                PlaneRequest *ret) {
        bool post = strcmp(method, "POST") == 0;
        char id[37];
        int n = 0, end = 0;

        if (sscanf(path, "/v1/recordings/%36[0-9a-f-]%n", id, &n) != 1 ||
            sd_id128_from_string(id, &ret->recording) < 0)
                return false;
        path += n;
        if (!path[0] && strcmp(method, "PUT") == 0)
                ret->kind = PLANE_REGISTER;
        else if (post && strcmp(path, "/finish") == 0) {
                ret->kind = PLANE_FINISH;
                ret->number = (uint64_t) json_integer_value(json_object_get(json, "segments"));
                snprintf(ret->reason, sizeof(ret->reason), "%s", string_of(json, "reason"));
        } else if (post && strcmp(path, "/segments") == 0) {
                ret->kind = PLANE_PRESIGN;
                ret->sequence = (uint32_t) json_integer_value(json_object_get(json, "sequence"));
                read_sha256(json, ret->sha256);
        } else if (post && sscanf(path, "/segments/%" SCNu32 "/complete%n", &ret->sequence, &end) == 1 &&
                   end > 0 && !path[end]) {
                ret->kind = PLANE_COMPLETE;
                read_sha256(json, ret->sha256);
        } else
                return false;
        return true;
}

static bool read_path(const char *method, const char *path, PlaneRequest *ret) {
        static const struct {
                const char *method, *path;
                unsigned kind;
        } known[] = {
                { "POST", "/v1/devices/token", PLANE_TOKEN },
                { "POST", "/v1/devices/enroll", PLANE_ENROL },
                { "GET", "/v1/devices/self/policy", PLANE_POLICY },
                { "POST", "/v1/devices/self/key", PLANE_KEY },
                { "POST", "/v1/devices/self/leave", PLANE_LEAVE },
                { "POST", "/v1/devices/self/diagnostics", PLANE_REPORT },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (strcmp(known[i].method, method) == 0 && strcmp(known[i].path, path) == 0) {
                        ret->kind = known[i].kind;
                        return true;
                }
        return false;
}

/* What the true one does not send: common/web/http-request.c. */
static bool headers_can_be_sent(const HttpOptions *options) {
        for (size_t i = 0; i < options->n_headers; i++)
                for (const char *p = options->headers[i].value; *p; p++)
                        if ((*p < ' ' && *p != '\t') || *p >= 0x7f)
                                return false;
        return true;
}

static void give(HttpRequest *request) {
        static const int errors[] = { -EHOSTUNREACH, -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET,
                                      -EKEYREJECTED, -EFBIG,     -EPROTO };
        const Answer *answer = request->answer;
        HttpResult result = { .error = -ETIMEDOUT, .text = "Timeout was reached", .body = "" };

        if (answer && now() < request->deadline) {
                result = (HttpResult){ .text = answer->body, .body = "" };
                if (answer->head.error > 0)
                        result.error = errors[answer->head.error % ELEMENTSOF(errors)];
                else {
                        result.status = answer->head.status;
                        result.body = answer->body;
                        result.body_size = answer->size;
                        result.retry_after = answer->head.retry_after < 86400
                                                             ? answer->head.retry_after * UINT64_C(1000000)
                                                             : 0;
                }
        }
        /* What was said before it came. */
        wire_driver_hear();
        promise_answered(&request->asked, &result);
        request->done(request, &result, request->userdata);
}

static int on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        HttpRequest *request = userdata;

        TAILQ_REMOVE(&request->client->running, request, list);
        request->client->count[request->asked.kind]--;
        request->client = NULL;
        give(request);
        return 0;
}

int http_request_new(HttpRequest **ret, HttpClient *client, const HttpOptions *options, HttpDone done,
                     void *userdata) {
        const size_t origin = strlen(PROMISE_URL);
        json_auto_t *json = json_loadb(options->body ?: "", options->body_size, 0, NULL);
        PlaneRequest asked = {};
        HttpRequest *request;

        if (!headers_can_be_sent(options))
                return -EINVAL;
        if (strncmp(options->url, PROMISE_URL, origin) != 0 ||
            (!read_path(options->method, options->url + origin, &asked) &&
             !read_recording_path(options->method, options->url + origin, json, &asked)))
                promise_broken("a request that docs/api.md does not know");
        promise_asked(&asked, json);
        if (!(request = calloc(1, sizeof(*request))))
                fuzz_die("calloc");
        *request = (HttpRequest){ .client = client,
                                  .asked = asked,
                                  .deadline = now() + HTTP_TIMEOUT_DEFAULT,
                                  .done = done,
                                  .userdata = userdata };
        if (sd_event_add_time(client->event, &request->source, CLOCK_BOOTTIME, request->deadline, 1, on_time,
                              request) < 0)
                fuzz_die("a timer");
        TAILQ_INSERT_TAIL(&client->running, request, list);
        if (++client->count[asked.kind] > REQUESTS_MAX)
                promise_broken("more requests than there are things to ask for");
        if (next[asked.kind])
                request_take(request, TAKE_PTR(next[asked.kind]));
        else if (always[asked.kind])
                request_take(request, answer_again(always[asked.kind]));
        *ret = request;
        return 0;
}

HttpRequest *http_request_free(HttpRequest *request) {
        if (!request)
                return NULL;
        if (request->client) {
                TAILQ_REMOVE(&request->client->running, request, list);
                request->client->count[request->asked.kind]--;
        }
        sd_event_source_disable_unref(request->source);
        free(request->answer);
        free(request);
        return NULL;
}

const char *http_request_header(HttpRequest *request, const char *name) {
        return strcmp(name, "ETag") == 0 && request->answer && request->answer->etag[0]
                               ? request->answer->etag
                               : NULL;
}

/* ------------------------------------------------------------------ the client */

int http_client_new(HttpClient **ret, sd_event *event, const char *ca_file _unused_,
                    const char *user_agent _unused_) {
        HttpClient *client = calloc(1, sizeof(*client));

        if (!client)
                return -ENOMEM;
        client->event = event;
        TAILQ_INIT(&client->running);
        *ret = the_client = client;
        return 0;
}

HttpClient *http_client_free(HttpClient *client) {
        if (client && !TAILQ_EMPTY(&client->running))
                promise_broken("a request that nobody waits for any more");
        free(client);
        return the_client = NULL;
}

const char *http_ca_file_hint(int r _unused_, const char *ca_file _unused_) {
        return "";
}

bool http_client_stuck(const HttpClient *client _unused_, uint64_t patience _unused_) {
        return false;
}
