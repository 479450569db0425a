/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From a row of type api.upload to a presigned URL. */

#include "database.h"
#include "sigv4.h"

#define PRESIGN_SECONDS 60U

/* Signs for now; *ret_expires is when the URL ends. If encrypt is set and the bucket wants it, the
 * server-side encryption headers are appended to headers, which has room for SIGV4_HEADERS_MAX. The URL is
 * the request's own and must not be logged. An error is answered. */
int presign(Request *request, const PGresult *upload, const char *method, SigV4Header *headers,
            size_t *n_headers, bool encrypt, const char **ret_url, const char **ret_expires) _must_check_;
