/* SPDX-License-Identifier: Apache-2.0 */

#include "upload-order.h"

#include <openssl/evp.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "http-url.h"
#include "statement.h"

static void hex(const uint8_t *bytes, size_t size, char *ret) {
        for (size_t i = 0; i < size; i++)
                snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

/* The sequence and size are within the statement's bounds: uploads_segment_ready(). */
static int sign(const Identity *identity, const struct wire_broker_segment_ready *ready,
                SegmentStatement *statement, char **ret) {
        sd_id128_t recording;

        memcpy(recording.bytes, ready->recording, sizeof(recording.bytes));
        sd_id128_to_uuid_string(identity->device, statement->device);
        sd_id128_to_uuid_string(recording, statement->recording);
        statement->sequence = ready->sequence;
        statement->final = ready->final;
        statement->size = ready->size;
        hex(ready->sha256, sizeof(ready->sha256), statement->sha256);
        if (ready->sequence > 0)
                hex(ready->previous_sha256, sizeof(ready->previous_sha256), statement->previous_sha256);
        clock_format_rfc3339(ready->start_realtime, statement->started_at);
        clock_format_rfc3339(ready->end_realtime, statement->ended_at);
        return segment_statement_sign(identity->key, statement, ret);
}

int upload_order_request(const Identity *identity, const struct wire_broker_segment_ready *ready,
                         json_t **ret) {
        _cleanup_free_ char *text = NULL;
        SegmentStatement statement = {};
        char md5[25];
        int r;

        r = sign(identity, ready, &statement, &text);
        if (r < 0)
                return r;
        (void) EVP_EncodeBlock((uint8_t *) md5, ready->md5, sizeof(ready->md5));
        json_t *request = json_pack(
                        "{s:I, s:s, s:s?, s:s, s:I, s:s, s:s, s:I, s:s}", "sequence",
                        (json_int_t) ready->sequence, "sha256", statement.sha256, "previous_sha256",
                        ready->sequence > 0 ? statement.previous_sha256 : NULL, "md5", md5, "size",
                        (json_int_t) ready->size, "started_at", statement.started_at, "ended_at",
                        statement.ended_at, "frames", (json_int_t) ready->n_frames, "statement", text);
        if (!request)
                return -ENOMEM;
        *ret = request;
        return 0;
}

int upload_order_parse(const json_t *answer, struct wire_broker_upload *ret, char **ret_host,
                       uint16_t *ret_port) {
        const char *method = json_string_value(json_object_get(answer, "method"));
        const char *url = json_string_value(json_object_get(answer, "url"));
        json_t *headers = json_object_get(answer, "headers"), *value;
        const char *name;

        if (!method || strcmp(method, "PUT") != 0 || !url || strlen(url) >= sizeof(ret->url) ||
            !json_is_object(headers) || json_object_size(headers) > WIRE_HEADERS_MAX)
                return -EBADMSG;
        strcpy(ret->url, url);
        ret->n_headers = 0;
        json_object_foreach (headers, name, value) {
                struct wire_header *header = &ret->headers[ret->n_headers++];
                const char *text = json_string_value(value);

                if (!text || strlen(name) >= sizeof(header->name) || strlen(text) >= sizeof(header->value))
                        return -EBADMSG;
                strcpy(header->name, name);
                strcpy(header->value, text);
        }
        return http_url_parse(ret->url, ret_host, ret_port) < 0 ? -EBADMSG : 0;
}
