/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between http.c, the client, and http-request.c, one request. */

#include <curl/curl.h>
#include <string.h>
#include <sys/queue.h>

#include "http.h"

struct HttpClient {
        sd_event *event;
        sd_event_source *timer;
        CURLM *multi;
        char *certificates;
        size_t certificates_size;
        char *user_agent;
        LIST_HEAD(, HttpRequest) running;
};

/* Libcurl is done with it: calls its HttpDone. */
void http_request_finish(HttpRequest *request, CURLcode code);

/* Whether a running request should have ended by itself before then (watchdog_now()). */
bool http_request_late(const HttpClient *client, uint64_t then);
