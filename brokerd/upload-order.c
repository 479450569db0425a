/* SPDX-License-Identifier: Apache-2.0 */

#include "upload-order.h"

#include <openssl/evp.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "http-url.h"

static void hex(const uint8_t *bytes, size_t size, char *ret) {
        for (size_t i = 0; i < size; i++)
                snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

json_t *upload_order_request(const struct wire_broker_segment_ready *ready) {
        char sha256[65], previous[65], md5[25], started[CLOCK_RFC3339_SIZE], ended[CLOCK_RFC3339_SIZE];

        hex(ready->sha256, sizeof(ready->sha256), sha256);
        hex(ready->previous_sha256, sizeof(ready->previous_sha256), previous);
        (void) EVP_EncodeBlock((uint8_t *) md5, ready->md5, sizeof(ready->md5));
        clock_format_rfc3339(ready->start_realtime, started);
        clock_format_rfc3339(ready->end_realtime, ended);
        return json_pack("{s:I, s:s, s:s?, s:s, s:I, s:s, s:s, s:I}", "sequence",
                         (json_int_t) ready->sequence, "sha256", sha256, "previous_sha256",
                         ready->sequence > 0 ? previous : NULL, "md5", md5, "size", (json_int_t) ready->size,
                         "started_at", started, "ended_at", ended, "frames", (json_int_t) ready->n_frames);
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
