/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "handlers.h"
#include "presign.h"
#include "value.h"

#define PAGE_DEFAULT  "100"
#define PAGE_MAX      100U
#define SEGMENTS_PAGE "1000"

/* "TIME_UUID", the place after which the next page begins. */
static int split_cursor(Request *request, const char *cursor, const char **ret_time, const char **ret_id) {
        char *copy = request_keep(request, strdup(cursor));
        if (!copy)
                return -ENOMEM;
        char *underscore = strchr(copy, '_');
        if (underscore)
                *underscore = '\0';
        if (!underscore || !value_is_time(copy) || !value_is_uuid(underscore + 1))
                return request_problem_detail(request, PROBLEM_FIELD_INVALID,
                                              "\"after\" must be what \"next\" was.");
        *ret_time = copy;
        *ret_id = underscore + 1;
        return 0;
}

int handle_recordings_list(Request *request) {
        enum { DEVICE, EMPLOYEE, FROM, TO, AFTER, LIMIT, _N };
        Field fields[_N] = {
                [DEVICE] = { "device", FIELD_UUID },
                [EMPLOYEE] = { "employee", FIELD_UUID },
                [FROM] = { "from", FIELD_TIME },
                [TO] = { "to", FIELD_TIME },
                [AFTER] = { "after", FIELD_TEXT, .maximum = 100 },
                [LIMIT] = { "limit", FIELD_UINT, .minimum = 1, .maximum = PAGE_MAX },
        };
        _cleanup_(PQclearp) PGresult *result = NULL;
        const char *cursor_time = NULL, *cursor_id = NULL;
        int r;

        r = request_read_query(request, fields, _N);
        if (r >= 0 && fields[AFTER].text)
                r = split_cursor(request, fields[AFTER].text, &cursor_time, &cursor_id);
        if (r < 0)
                return r;
        const char *const parameters[] = {
                request->token,
                fields[DEVICE].parameter,
                fields[EMPLOYEE].parameter,
                fields[FROM].parameter,
                fields[TO].parameter,
                cursor_time,
                cursor_id,
                fields[LIMIT].parameter ?: PAGE_DEFAULT,
        };
        r = database_call_repeatable(request, "list_recordings", parameters, ELEMENTSOF(parameters),
                                     &result);
        return r < 0 ? r : request_reply_text(request, MHD_HTTP_OK, PQgetvalue(result, 0, 0));
}

int handle_segments_list(Request *request) {
        Field fields[] = { { "after", FIELD_UINT, .maximum = INT32_MAX } };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = request_read_query(request, fields, ELEMENTSOF(fields));
        if (r < 0)
                return r;
        const char *const parameters[] = { request->token, request->values[0], fields[0].parameter,
                                           SEGMENTS_PAGE };
        r = database_call_repeatable(request, "list_segments", parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : request_reply_text(request, MHD_HTTP_OK, PQgetvalue(result, 0, 0));
}

int handle_segment_url(Request *request) {
        const char *const parameters[] = { request->token, request->values[0],
                                           request_client_address(request) };
        _cleanup_(PQclearp) PGresult *upload = NULL;
        SigV4Header headers[SIGV4_HEADERS_MAX];
        size_t n_headers = 0;
        const char *url, *expires;
        int r;

        r = database_call(request, "view_segment", parameters, ELEMENTSOF(parameters), &upload);
        if (r < 0)
                return r;
        r = presign(request, upload, "GET", headers, &n_headers, false, &url, &expires);
        if (r < 0)
                return r;
        return request_reply_json(
                        request, MHD_HTTP_CREATED,
                        json_pack("{s:s, s:s, s:s}", "method", "GET", "url", url, "expires_at", expires));
}
