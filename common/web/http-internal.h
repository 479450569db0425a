/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between http.c, the client, and http-request.c, one request. */

#include <curl/curl.h>
#include <string.h>

#include "http.h"

struct HttpClient {
        sd_event *event;
        sd_event_source *timer;
        CURLM *multi;
        char *certificates;
        size_t certificates_size;
        char *user_agent;
};

/* Libcurl is done with it: calls its HttpDone. */
void http_request_finish(HttpRequest *request, CURLcode code);
