/* SPDX-License-Identifier: Apache-2.0 */

#include <openssl/evp.h>
#include <string.h>

#include "announcements.h"
#include "evidence.h"
#include "handlers.h"
#include "presign.h"
#include "value.h"

#define SEQUENCE_MAX     999999U /* for a whole day of eleven a second */
#define SEGMENT_SIZE_MAX 16777216U
#define CONTENT_TYPE     "application/vnd.streamsight.segment"

static const char *sha256_as_base64(Request *request, const char *hex) {
        uint8_t digest[32];
        char text[45];

        value_parse_sha256(hex, digest);
        EVP_EncodeBlock((unsigned char *) text, digest, sizeof(digest));
        return request_keep(request, strdup(text));
}

/* {name: value} of the headers that whoever uses the URL must set: all but Content-Length (and Host), which
 * HTTP libraries set themselves. */
static json_t *headers_as_json(const SigV4Header *headers, size_t n) {
        json_t *object = json_object();

        for (size_t i = 0; i < n && object; i++)
                if (strcmp(headers[i].name, "content-length") != 0 &&
                    json_object_set_new(object, headers[i].name, json_string(headers[i].value)) < 0) {
                        json_decref(object);
                        object = NULL;
                }
        return object;
}

enum { SEQUENCE, SHA256, PREVIOUS, MD5, SIZE, STARTED, ENDED, FRAMES, STATEMENT, _N };

static int check_statement(Request *request, const Field fields[static _N], Evidence *ret) {
        SegmentStatement said = { .sequence = (uint32_t) fields[SEQUENCE].number,
                                  .size = fields[SIZE].number };

        snprintf(said.recording, sizeof(said.recording), "%s", request->values[0]);
        snprintf(said.sha256, sizeof(said.sha256), "%s", fields[SHA256].text);
        snprintf(said.previous_sha256, sizeof(said.previous_sha256), "%s", fields[PREVIOUS].text ?: "");
        snprintf(said.started_at, sizeof(said.started_at), "%s", fields[STARTED].text);
        snprintf(said.ended_at, sizeof(said.ended_at), "%s", fields[ENDED].text);
        return evidence_check_segment(request, fields[STATEMENT].text, &said, ret);
}

/* What is kept of a request while it is entered. */
typedef struct Offer {
        Announcement announcement; /* first: the request knows it by that */
        Field fields[_N];
} Offer;

static int read_offer(Request *request, Offer *offer) {
        Field *fields = offer->fields;
        Evidence evidence;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0)
                return r;
        if (fields[SIZE].number > SEGMENT_SIZE_MAX)
                return request_problem(request, PROBLEM_SEGMENT_TOO_LARGE);
        r = check_statement(request, fields, &evidence);
        if (r < 0)
                return r;
        const char *const parameters[ANNOUNCEMENT_PARAMETERS] = {
                request->token,
                request->values[0],
                fields[SEQUENCE].parameter,
                fields[SHA256].parameter,
                fields[PREVIOUS].parameter,
                fields[MD5].parameter,
                fields[SIZE].parameter,
                fields[STARTED].parameter,
                fields[ENDED].parameter,
                fields[FRAMES].parameter,
                evidence.device,
                evidence.key,
                fields[STATEMENT].parameter,
        };
        memcpy(offer->announcement.parameters, parameters, sizeof(parameters));
        return -EINPROGRESS;
}

static int answer_offer(Request *request, Offer *offer) {
        const Field *fields = offer->fields;
        const char *url, *expires;
        int r;

        if (!offer->announcement.row &&
            (r = database_call_repeatable(request, "offer_signed_segment", offer->announcement.parameters,
                                          ANNOUNCEMENT_PARAMETERS, &offer->announcement.row)) < 0)
                return r;

        /* Each is signed because some S3 server, somewhere, ignores one of the others: docs/api.md. */
        SigV4Header headers[SIGV4_HEADERS_MAX] = {
                { "content-length", fields[SIZE].text },
                { "content-type", CONTENT_TYPE },
                { "if-none-match", "*" },
                { "content-md5", fields[MD5].text },
                { "x-amz-content-sha256", fields[SHA256].text },
                { "x-amz-checksum-sha256", sha256_as_base64(request, fields[SHA256].text) },
                { "x-amz-acl", "bucket-owner-full-control" },
                { "x-amz-meta-streamsight-recording", request->values[0] },
                { "x-amz-meta-streamsight-sequence", fields[SEQUENCE].text },
                { "x-amz-meta-streamsight-statement", fields[STATEMENT].text },
        };
        size_t n_headers = 10;
        if (!headers[5].value)
                return -ENOMEM;
        if (fields[PREVIOUS].text)
                headers[n_headers++] = (SigV4Header){ "x-amz-meta-streamsight-previous-sha256",
                                                      fields[PREVIOUS].text };
        r = presign(request, offer->announcement.row, "PUT", headers, &n_headers, true, &url, &expires);
        if (r < 0)
                return r;
        return request_reply_json(request, MHD_HTTP_CREATED,
                                  json_pack("{s:s, s:s, s:o, s:s}", "method", "PUT", "url", url, "headers",
                                            headers_as_json(headers, n_headers), "expires_at", expires));
}

int handle_segment_offer(Request *request) {
        static const Field fields[_N] = {
                [SEQUENCE] = { "sequence", FIELD_UINT, .maximum = SEQUENCE_MAX },
                [SHA256] = { "sha256", FIELD_SHA256 },
                [PREVIOUS] = { "previous_sha256", FIELD_SHA256, .optional = true },
                [MD5] = { "md5", FIELD_MD5 },
                [SIZE] = { "size", FIELD_UINT, .minimum = 1, .maximum = INT32_MAX },
                [STARTED] = { "started_at", FIELD_TIME },
                [ENDED] = { "ended_at", FIELD_TIME },
                [FRAMES] = { "frames", FIELD_UINT, .maximum = INT32_MAX },
                [STATEMENT] = { "statement", FIELD_TEXT, .maximum = STATEMENT_MAX },
        };

        if (request->announcement)
                return answer_offer(request, (Offer *) request->announcement);
        Offer *offer = calloc(1, sizeof(*offer));
        if (!offer)
                return -ENOMEM;
        memcpy(offer->fields, fields, sizeof(fields));
        offer->announcement.request = request;
        request->announcement = &offer->announcement;
        return read_offer(request, offer);
}

int handle_segment_complete(Request *request) {
        Field fields[] = { { "sha256", FIELD_SHA256 } };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = request_read_fields(request, fields, ELEMENTSOF(fields));
        if (r < 0)
                return r;
        const char *const parameters[] = { request->token, request->values[0], request->values[1],
                                           fields[0].parameter };
        r = database_call_repeatable(request, "complete_segment", parameters, ELEMENTSOF(parameters),
                                     &result);
        return r < 0 ? r : request_reply_empty(request, MHD_HTTP_NO_CONTENT);
}
