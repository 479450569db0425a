/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An HTTPS client on an sd-event loop: libcurl with every implicit behaviour off. TLS ≥ 1.2, verified
 * against the given certificates alone; HTTP/1.1; no redirect, proxy, netrc, cookie, compression or file;
 * nothing from the environment. Connections are kept and used again.
 *
 * After http_client_new() a request with fixed addresses opens no file, starts no thread and asks no
 * resolver, so that it works in a sandbox that forbids all three. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "http-url.h"
#include "wire.h"

typedef struct HttpClient HttpClient;
typedef struct HttpRequest HttpRequest;

#define HTTP_CA_FILE_DEFAULT "/etc/ssl/certs/ca-certificates.crt"
#define HTTP_BODY_MAX        (256U * 1024U) /* of a response, unless the request says less */
#define HTTP_TIMEOUT_DEFAULT UINT64_C(30000000)

/* Reads the certificates (PEM) at ca_file, NULL or "" for the system's, once. Initialises libcurl and
 * OpenSSL for the process: call before a sandbox and before threads. user_agent as in RFC 9110 §10.1.5.
 * -ENODATA: the file holds no certificate. */
int http_client_new(HttpClient **ret, sd_event *event, const char *ca_file, const char *user_agent);

/* What to add for the journal where http_client_new() returned r: the services do not see every folder, and
 * SELinux lets them read fewer. "": ca_file is in none of those, or it is something else. */
const char *http_ca_file_hint(int r, const char *ca_file);

/* Whether a request has not been called done though its time was up so long ago (µs). libcurl ends each in
 * time: then it, or the event loop, does not work any more. */
bool http_client_stuck(const HttpClient *client, uint64_t patience);

/* Not from within HttpDone. All its requests must have been freed. Returns NULL. */
HttpClient *http_client_free(HttpClient *client);
DEFINE_CLEANUP(HttpClient *, http_client_freep, http_client_free)

typedef struct HttpHeader {
        const char *name, *value; /* RFC 9110 §5: a token; visible ASCII, spaces and tabs, may be "" */
} HttpHeader;

typedef struct HttpOptions {
        const char *method;
        const char *url; /* https only; sent as it is, without normalising the path */
        const HttpHeader *headers;
        size_t n_headers;
        const void *body; /* borrowed until the request is done or freed */
        size_t body_size;
        bool expect_continue; /* send "Expect: 100-continue" and wait up to a second before the body */
        /* If any: connect to these only, and ask no resolver. A kept connection to the same host is used
         * again though the addresses have changed. */
        const struct wire_address *addresses;
        size_t n_addresses;
        size_t body_max;  /* of the response, bytes; 0 = HTTP_BODY_MAX */
        uint64_t timeout; /* of the whole request, µs; 0 = HTTP_TIMEOUT_DEFAULT */
} HttpOptions;

/* What came of a request: valid until the request is freed. */
typedef struct HttpResult {
        int error;        /* 0: there is an answer. Else a negative errno: -EHOSTUNREACH name not resolved,
                             -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET, -EACCES address not allowed, -EKEYREJECTED
                             certificate not accepted, -EFBIG answer too large, -EPROTO others */
        unsigned status;  /* HTTP status, 0 with an error */
        const char *text; /* with an error, for a person; never holds the URL's path or query */
        const char *body; /* NUL-terminated, "" if none */
        size_t body_size; /* without the NUL */
        uint64_t retry_after; /* µs, of the Retry-After header, 0 = none */
} HttpResult;

/* Called once from the event loop, never from within http_request_new(). The request remains the caller's,
 * to be freed here or later. */
typedef void (*HttpDone)(HttpRequest *request, const HttpResult *result, void *userdata);

/* Starts a request. All strings are copied; the body is not. -EINVAL: a URL, method or header that cannot be
 * sent as such. */
int http_request_new(HttpRequest **ret, HttpClient *client, const HttpOptions *options, HttpDone done,
                     void *userdata);

/* Cancels it if it is running; done is not called then. Returns NULL. */
HttpRequest *http_request_free(HttpRequest *request);
DEFINE_CLEANUP(HttpRequest *, http_request_freep, http_request_free)

/* A header of the answer by name, NULL if there is none: within done or later, until the request is freed.
 */
const char *http_request_header(HttpRequest *request, const char *name);
