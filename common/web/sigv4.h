/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Presigned S3 URLs: AWS Signature Version 4 in query parameters
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html). Pure functions. */

#include <stddef.h>
#include <time.h>

#include "cleanup.h"

#define SIGV4_HEADERS_MAX 32U

typedef struct SigV4Header {
        const char *name;  /* lower-case */
        const char *value; /* printable ASCII */
} SigV4Header;

typedef struct SigV4Request {
        const char *method;
        const char *host; /* ":443" is left out of the URL and of what is signed, as clients leave it out of
                             Host */
        const char *path; /* "/bucket/key" in UTF-8, not percent-encoded */
        /* More of the query, percent-encoded and in the order of names, which begin with lower-case letters:
         * "list-type=2&prefix=a%2Fb". NULL: none. */
        const char *query;
        const char *region;
        const char *access_key_id;
        const char *secret_key;
        const char *session_token; /* of temporary credentials; NULL: none */
        time_t time;
        unsigned expires; /* seconds from time, at most 604800 */
        /* Signed beside host: whoever uses the URL must send exactly these. If x-amz-content-sha256 is among
         * them its value is signed as the payload's hash, else "UNSIGNED-PAYLOAD". In any order. */
        const SigV4Header *headers;
        size_t n_headers;
} SigV4Request;

/* text percent-encoded as a query's value, the caller's. NULL: out of memory. */
char *sigv4_encode(const char *text) _must_check_;

/* *ret: the https URL, the caller's. -EINVAL: a name or value that cannot be signed faithfully; -E2BIG: too
 * many headers; -ENOMEM; -EIO: OpenSSL failed. */
int sigv4_presign(const SigV4Request *request, char **ret) _must_check_;
