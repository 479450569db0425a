/* SPDX-License-Identifier: Apache-2.0 */

#include "api.h"

#include <openssl/crypto.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "api-answer.h"
#include "token.h"

#define API_PATH_MAX 512

struct ApiCall {
        LIST_ENTRY(ApiCall) waiting; /* for a token */
        bool is_waiting;
        bool unauthenticated, renewed;
        Api *api;
        HttpRequest *http;
        char method[8];
        char path[API_PATH_MAX];
        char *body;
        ApiBody make_body; /* NULL: body is it */
        char *etag;
        ApiDone done;
        void *userdata;
};

struct Api {
        HttpClient *http;
        const char *url;
        const Identity *identity;
        Token token;
        HttpRequest *token_request;
        ApiTokenAnswered token_answered; /* NULL: nobody */
        void *token_userdata;
        LIST_HEAD(, ApiCall) waiting;
};

int api_new(Api **ret, HttpClient *http, const char *url) {
        Api *api = calloc(1, sizeof(*api));

        if (!api)
                return -ENOMEM;
        api->http = http;
        api->url = url;
        LIST_INIT(&api->waiting);
        *ret = api;
        return 0;
}

Api *api_free(Api *api) {
        if (!api)
                return NULL;
        http_request_free(api->token_request);
        token_forget(&api->token);
        free(api);
        return NULL;
}

const char *api_url(const Api *api) {
        return api->url;
}

void api_set_token_answered(Api *api, ApiTokenAnswered answered, void *userdata) {
        api->token_answered = answered;
        api->token_userdata = userdata;
}

void api_set_identity(Api *api, const Identity *identity) {
        api->identity = identity;
        token_forget(&api->token);
        api->token_request = http_request_free(api->token_request);
}

static void api_call_wait(ApiCall *call) {
        LIST_INSERT_HEAD(&call->api->waiting, call, waiting);
        call->is_waiting = true;
}

static void api_call_unwait(ApiCall *call) {
        if (call->is_waiting)
                LIST_REMOVE(call, waiting);
        call->is_waiting = false;
}

static int api_call_start(ApiCall *call);
static int api_fetch_token(Api *api);

static void api_on_answer(HttpRequest *request, const HttpResult *result, void *userdata) {
        ApiCall *call = userdata;
        ApiAnswerBuffer buffer;

        /* The control plane may have been restarted with other keys, or this machine slept: once more with a
         * new token. */
        if (result->status == 401 && !call->unauthenticated && !call->renewed) {
                call->renewed = true;
                call->http = http_request_free(call->http);
                token_forget(&call->api->token);
                api_call_wait(call);
                if (call->api->token_request || api_fetch_token(call->api) >= 0)
                        return;
                api_call_unwait(call);
                call->done(call,
                           &(ApiAnswer){ .error = -EIO,
                                         .transient = true,
                                         .code = "",
                                         .text = "the device key cannot sign",
                                         .body = "",
                                         .etag = "" },
                           call->userdata);
                return;
        }
        api_answer_read(&buffer, request, result, call->api->url, call->etag != NULL);
        call->done(call, &buffer.answer, call->userdata);
        api_answer_done(&buffer);
}

/* True: another token is asked for, with another key. */
static bool api_other_key(Api *api, const ApiAnswer *answer) {
        bool refused = strcmp(answer->code, "client_invalid") == 0;

        if (!api->token_answered || (answer->error < 0 && !refused))
                return false;
        return api->token_answered(refused, api->token_userdata) && api_fetch_token(api) >= 0;
}

static void api_on_token(HttpRequest *request, const HttpResult *result, void *userdata) {
        Api *api = userdata;
        ApiAnswerBuffer buffer;
        LIST_HEAD(, ApiCall) ready = LIST_HEAD_INITIALIZER(ready);
        ApiCall *call;

        api_answer_read(&buffer, request, result, api->url, false);
        if (buffer.answer.error == 0 && token_take(&api->token, buffer.answer.json) < 0) {
                buffer.answer.error = -EPROTO;
                buffer.answer.transient = true;
                snprintf(buffer.text, sizeof(buffer.text),
                         "the control plane's answer holds no device token");
        }
        api->token_request = NULL;
        if (api_other_key(api, &buffer.answer)) {
                api_answer_done(&buffer);
                http_request_free(request);
                return;
        }
        /* The calls' owners may begin new ones, which are for the next round. */
        while ((call = LIST_FIRST(&api->waiting))) {
                LIST_REMOVE(call, waiting);
                LIST_INSERT_HEAD(&ready, call, waiting);
        }
        while ((call = LIST_FIRST(&ready))) {
                api_call_unwait(call);
                if (buffer.answer.error == 0 && api_call_start(call) < 0) {
                        buffer.answer.error = -ENOMEM;
                        buffer.answer.transient = true;
                        snprintf(buffer.text, sizeof(buffer.text), "out of memory");
                }
                if (buffer.answer.error < 0)
                        call->done(call, &buffer.answer, call->userdata);
        }
        api_answer_done(&buffer);
        http_request_free(request);
}

static int api_fetch_token(Api *api) {
        static const HttpHeader headers[] = {
                { "Content-Type", "application/x-www-form-urlencoded" },
                { "Accept", "application/json, application/problem+json" },
        };
        _cleanup_free_ char *url = NULL;
        int r;

        if (!api->identity || !api->identity->key)
                return -ENOKEY;
        if (asprintf(&url, "%s" TOKEN_PATH, api->url) < 0)
                return -ENOMEM;
        r = token_assertion(&api->token, api->identity, url);
        if (r < 0)
                return r;
        return http_request_new(&api->token_request, api->http,
                                &(HttpOptions){ .method = "POST",
                                                .url = url,
                                                .headers = headers,
                                                .n_headers = ELEMENTSOF(headers),
                                                .body = api->token.form,
                                                .body_size = strlen(api->token.form) },
                                api_on_token, api);
}

static void api_call_drop_body(ApiCall *call) {
        if (call->body)
                OPENSSL_cleanse(call->body, strlen(call->body));
        free(call->body);
        call->body = NULL;
}

static int api_call_make_body(ApiCall *call) {
        json_auto_t *json = NULL;
        int r;

        api_call_drop_body(call);
        r = call->make_body(call->api->token.value, call->userdata, &json);
        if (r < 0)
                return r;
        return (call->body = json_dumps(json, JSON_COMPACT)) ? 0 : -ENOMEM;
}

static int api_call_start(ApiCall *call) {
        _cleanup_free_ char *url = NULL, *authorization = NULL;
        HttpHeader headers[4];
        size_t n = 0;
        int r;

        if (call->make_body) {
                r = api_call_make_body(call);
                if (r < 0)
                        return r;
        }
        if (asprintf(&url, "%s%s", call->api->url, call->path) < 0)
                return -ENOMEM;
        headers[n++] = (HttpHeader){ "Accept", "application/json, application/problem+json" };
        if (call->body)
                headers[n++] = (HttpHeader){ "Content-Type", "application/json" };
        if (call->etag)
                headers[n++] = (HttpHeader){ "If-None-Match", call->etag };
        if (!call->unauthenticated) {
                if (asprintf(&authorization, "Bearer %s", call->api->token.value) < 0)
                        return -ENOMEM;
                headers[n++] = (HttpHeader){ "Authorization", authorization };
        }
        r = http_request_new(&call->http, call->api->http,
                             &(HttpOptions){ .method = call->method,
                                             .url = url,
                                             .headers = headers,
                                             .n_headers = n,
                                             .body = call->body,
                                             .body_size = call->body ? strlen(call->body) : 0 },
                             api_on_answer, call);
        if (authorization)
                OPENSSL_cleanse(authorization, strlen(authorization));
        return r;
}

DEFINE_CLEANUP(ApiCall *, api_call_freep, api_call_free)

int api_call_new(ApiCall **ret, Api *api, const ApiRequest *request, ApiDone done, void *userdata) {
        _cleanup_(api_call_freep) ApiCall *call = calloc(1, sizeof(*call));
        int r;

        if (!call)
                return -ENOMEM;
        /* No control plane is configured: as one that cannot be reached. */
        if (!api)
                return -ENOTCONN;
        if (strlen(request->method) >= sizeof(call->method) || strlen(request->path) >= sizeof(call->path))
                return -E2BIG;
        call->api = api;
        call->unauthenticated = request->unauthenticated;
        call->make_body = request->body;
        call->done = done;
        call->userdata = userdata;
        strcpy(call->method, request->method);
        strcpy(call->path, request->path);
        if (request->json && !(call->body = json_dumps(request->json, JSON_COMPACT)))
                return -ENOMEM;
        if (request->etag && !(call->etag = strdup(request->etag)))
                return -ENOMEM;

        if (call->unauthenticated || token_is_good(&api->token))
                r = api_call_start(call);
        else {
                r = api->token_request ? 0 : api_fetch_token(api);
                if (r >= 0)
                        api_call_wait(call);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

ApiCall *api_call_free(ApiCall *call) {
        if (!call)
                return NULL;
        api_call_unwait(call);
        http_request_free(call->http);
        api_call_drop_body(call);
        free(call->etag);
        free(call);
        return NULL;
}
