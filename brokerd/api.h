/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Calls of the control plane: JSON in and out, with the device's token got and renewed underneath (RFC 7523
 * client assertion → bearer token). A call is one try; who retries is the caller. */

#include <jansson.h>
#include <systemd/sd-event.h>

#include "http.h"
#include "identity.h"

typedef struct Api Api;
typedef struct ApiCall ApiCall;

/* What came of a call: valid within ApiDone. */
typedef struct ApiAnswer {
        int error;        /* 0: status is 2xx, or 304 for an etag. Else a negative errno */
        bool transient;   /* with an error: another try later may succeed */
        unsigned status;  /* 0: no answer came */
        const char *code; /* of a problem (RFC 9457), "" if none */
        const char *text; /* with an error, a line for a person; no control characters */
        json_t *json;     /* of a 2xx with a JSON object, else NULL; borrowed */
        const char *body; /* NUL-terminated */
        size_t body_size;
        const char *etag;     /* "" if none */
        uint64_t retry_after; /* µs, 0: none said */
} ApiAnswer;

/* Called once from the event loop. The call remains the caller's, to be freed here or later. */
typedef void (*ApiDone)(ApiCall *call, const ApiAnswer *answer, void *userdata);

/* url is borrowed. */
int api_new(Api **ret, HttpClient *http, const char *url);
/* All its calls must have been freed. Returns NULL. */
Api *api_free(Api *api);

/* Told of each answer to asking for a token; refused: for the key, it seems. True: the identity has another
 * key now, ask again. */
typedef bool (*ApiTokenAnswered)(bool refused, void *userdata);
void api_set_token_answered(Api *api, ApiTokenAnswered answered, void *userdata);

/* Whom to authenticate as: borrowed until replaced; NULL nobody. */
void api_set_identity(Api *api, const Identity *identity);
const char *api_url(const Api *api);

/* Makes a body that depends on the token, for each try; userdata is the call's. */
typedef int (*ApiBody)(const char *token, void *userdata, json_t **ret);

typedef struct ApiRequest {
        const char *method;
        const char *path;     /* "/v1/…" */
        json_t *json;         /* body, NULL none; not kept */
        ApiBody body;         /* or this, NULL none */
        const char *etag;     /* If-None-Match, NULL none; not kept */
        bool unauthenticated; /* enrolment */
} ApiRequest;

/* -ENOKEY: not enrolled. */
int api_call_new(ApiCall **ret, Api *api, const ApiRequest *request, ApiDone done, void *userdata);
/* Cancels it if it is running. Returns NULL. */
ApiCall *api_call_free(ApiCall *call);
