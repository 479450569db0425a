/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "api.h"

/* An ApiAnswer with what its pointers point to. */
typedef struct ApiAnswerBuffer {
        ApiAnswer answer;
        char code[64];
        char text[512];
} ApiAnswerBuffer;

/* Reads an answer, which is JSON, a problem (RFC 9457), or neither. url is named in the text. conditional:
 * the request had an etag, which 304 answers; else that answers nothing. */
void api_answer_read(ApiAnswerBuffer *ret, HttpRequest *request, const HttpResult *result, const char *url,
                     bool conditional);
void api_answer_done(ApiAnswerBuffer *buffer);
