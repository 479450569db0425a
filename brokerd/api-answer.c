/* SPDX-License-Identifier: Apache-2.0 */

#include "api-answer.h"

#include <stdio.h>

#include "text.h"

static int api_status_error(unsigned status) {
        switch (status) {
        case 401:
                return -EKEYREJECTED;
        case 403:
                return -EACCES;
        case 404:
                return -ENOENT;
        case 409:
                return -EEXIST;
        case 413:
                return -EFBIG;
        case 429:
                return -EBUSY;
        default:
                return status >= 500 ? -EREMOTEIO : -EPROTO;
        }
}

static void api_read_problem(ApiAnswerBuffer *buffer, const char *url) {
        ApiAnswer *answer = &buffer->answer;
        const char *detail = json_string_value(json_object_get(answer->json, "detail"));
        const char *title = json_string_value(json_object_get(answer->json, "title"));
        const char *code = json_string_value(json_object_get(answer->json, "code"));
        char clean[400], both[600];

        text_sanitize(buffer->code, sizeof(buffer->code), code ?: "");
        snprintf(both, sizeof(both), "%.200s%s%.390s", title ?: "", title && detail ? ". " : "",
                 detail ?: "");
        text_sanitize(clean, sizeof(clean), both);
        answer->error = api_status_error(answer->status);
        answer->transient = answer->status == 401 || answer->status == 408 || answer->status == 429 ||
                            answer->status >= 500;
        if (clean[0])
                snprintf(buffer->text, sizeof(buffer->text), "%s (HTTP %u%s%s)", clean, answer->status,
                         buffer->code[0] ? ", " : "", buffer->code);
        else
                snprintf(buffer->text, sizeof(buffer->text),
                         "%s answered HTTP %u without saying why: is it the control plane's address?", url,
                         answer->status);
}

void api_answer_read(ApiAnswerBuffer *ret, HttpRequest *request, const HttpResult *result, const char *url,
                     bool conditional) {
        ApiAnswer *answer = &ret->answer;
        char text[sizeof(ret->text)];

        *ret = (ApiAnswerBuffer){ .answer = {
                                                  .error = result->error,
                                                  .status = result->status,
                                                  .code = ret->code,
                                                  .text = ret->text,
                                                  .body = result->body,
                                                  .body_size = result->body_size,
                                                  .etag = http_request_header(request, "ETag") ?: "",
                                                  .retry_after = result->retry_after,
                                  } };
        if (result->error < 0) {
                answer->transient = true;
                snprintf(text, sizeof(text), "the control plane at %s cannot be reached: %s", url,
                         result->text);
                text_sanitize(ret->text, sizeof(ret->text), text);
                return;
        }
        answer->json = json_loadb(result->body, result->body_size, JSON_REJECT_DUPLICATES, NULL);
        if (answer->json && !json_is_object(answer->json)) {
                json_decref(answer->json);
                answer->json = NULL;
        }
        if ((result->status < 200 || result->status > 299) && !(conditional && result->status == 304)) {
                api_read_problem(ret, url);
                json_decref(answer->json);
                answer->json = NULL;
        }
}

void api_answer_done(ApiAnswerBuffer *buffer) {
        json_decref(buffer->answer.json);
        buffer->answer.json = NULL;
}
