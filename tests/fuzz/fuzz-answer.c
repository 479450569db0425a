/* SPDX-License-Identifier: Apache-2.0 */

/* Any answer of the control plane to brokerd, and what is read out of it: an order to upload, or a problem
 * for a person. The first byte says how it came. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api-answer.h"
#include "fuzz.h"
#include "text.h"
#include "upload-order.h"

/* In place of common/web/http-request.c's: there is no request. */
const char *http_request_header(HttpRequest *request _unused_, const char *name _unused_) {
        return NULL;
}

static void read_order(const json_t *json) {
        static struct wire_broker_upload order;
        uint16_t port;
        char *host;

        if (upload_order_parse(json, &order, &host, &port) < 0)
                return;
        if (order.n_headers > WIRE_HEADERS_MAX || strncasecmp(order.url, "https://", 8) != 0 || !host[0] ||
            port == 0)
                abort();
        for (uint32_t i = 0; i < order.n_headers; i++)
                if (!memchr(order.headers[i].name, '\0', sizeof(order.headers[i].name)) ||
                    !memchr(order.headers[i].value, '\0', sizeof(order.headers[i].value)))
                        abort();
        free(host);
}

/* A person reads it on the bus and on a terminal. */
static void check_text(const char *text) {
        if (!text_is_clean(text))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const unsigned statuses[] = { 200, 201, 304, 400, 401, 403, 404, 409, 413, 429, 500, 503 };
        ApiAnswerBuffer buffer;
        HttpResult result = {};

        if (size == 0)
                return 0;
        _cleanup_free_ char *body = strndup((const char *) data + 1, size - 1);
        if (!body)
                return 0;
        result.status = statuses[data[0] % ELEMENTSOF(statuses)];
        result.error = data[0] & 0x80 ? -EPROTO : 0;
        result.text = body;
        result.body = body;
        result.body_size = strlen(body);
        api_answer_read(&buffer, NULL, &result, "https://api.example.org", data[0] & 0x40);
        if (buffer.answer.json && (!json_is_object(buffer.answer.json) || buffer.answer.error < 0))
                abort();
        check_text(buffer.text);
        check_text(buffer.code);
        if (buffer.answer.json)
                read_order(buffer.answer.json);
        api_answer_done(&buffer);
        return 0;
}
