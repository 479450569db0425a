/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "database.h"
#include "evidence.h"
#include "handlers.h"
#include "value.h"

#define OUTPUTS_MAX  16U
#define HOSTNAME_MAX 255U
#define SEGMENTS_MAX 1000000U

static bool is_uint(const json_t *value, json_int_t maximum) {
        return json_is_integer(value) && json_integer_value(value) >= 0 &&
               json_integer_value(value) <= maximum;
}

/* The outputs as PostgreSQL takes them: checked, and only the members that are known. */
static int read_outputs(Request *request, const char **ret) {
        const json_t *given = json_object_get(request->json, "outputs");
        _cleanup_(json_decrefp) json_t *outputs = json_array();
        const json_t *output;
        size_t i;
        bool ok = json_is_array(given) && json_array_size(given) <= OUTPUTS_MAX;

        if (!outputs)
                return -ENOMEM;
        json_array_foreach (ok ? given : NULL, i, output) {
                json_t *id = json_object_get(output, "id"), *name = json_object_get(output, "name");
                json_t *width = json_object_get(output, "width"),
                       *height = json_object_get(output, "height");

                ok = is_uint(id, 63) && json_is_string(name) && value_is_text(json_string_value(name), 64) &&
                     is_uint(width, 65535) && is_uint(height, 65535);
                if (!ok)
                        break;
                if (json_array_append_new(outputs, json_pack("{s:O, s:O, s:O, s:O}", "id", id, "name", name,
                                                             "width", width, "height", height)) < 0)
                        return -ENOMEM;
        }
        if (!ok)
                return request_problem_detail(
                                request, PROBLEM_FIELD_INVALID,
                                "\"outputs\" must be an array of at most %u objects of id (0 to 63), name, "
                                "width and height (pixels).",
                                OUTPUTS_MAX);
        char *text = request_keep(request, json_dumps(outputs, JSON_COMPACT));
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

int handle_recording_open(Request *request) {
        enum { STARTED, REASON, HOSTNAME, _N };
        Field fields[_N] = {
                [STARTED] = { "started_at", FIELD_TIME },
                [REASON] = { "reason", FIELD_WORD, .words = "policy manual" },
                [HOSTNAME] = { "hostname", FIELD_TEXT, .maximum = HOSTNAME_MAX },
        };
        _cleanup_(PQclearp) PGresult *result = NULL;
        const char *outputs = NULL;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r >= 0)
                r = read_outputs(request, &outputs);
        if (r < 0)
                return r;
        const char *const parameters[] = {
                request->token,           request->values[0],         fields[STARTED].parameter,
                fields[REASON].parameter, fields[HOSTNAME].parameter, outputs
        };
        r = database_call_repeatable(request, "open_recording", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        bool is_new = strcmp(PQgetvalue(result, 0, 0), "t") == 0;
        return request_reply_json(request, is_new ? MHD_HTTP_CREATED : MHD_HTTP_OK,
                                  json_pack("{s:s}", "id", request->values[0]));
}

int handle_recording_finish(Request *request) {
        enum { SEGMENTS, ENDED, REASON, STATEMENT, _N };
        Field fields[_N] = {
                [SEGMENTS] = { "segments", FIELD_UINT, .maximum = SEGMENTS_MAX },
                [ENDED] = { "ended_at", FIELD_TIME },
                [REASON] = { "reason", FIELD_TEXT, .maximum = STATEMENT_REASON_MAX },
                [STATEMENT] = { "statement", FIELD_TEXT, .maximum = STATEMENT_MAX },
        };
        RecordingStatement said = {};
        Evidence evidence;
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0)
                return r;
        said.segments = (uint32_t) fields[SEGMENTS].number;
        snprintf(said.recording, sizeof(said.recording), "%s", request->values[0]);
        snprintf(said.ended_at, sizeof(said.ended_at), "%s", fields[ENDED].text);
        snprintf(said.reason, sizeof(said.reason), "%s", fields[REASON].text);
        r = evidence_check_recording(request, fields[STATEMENT].text, &said, &evidence);
        if (r < 0)
                return r;
        const char *const parameters[] = { request->token,
                                           request->values[0],
                                           fields[SEGMENTS].parameter,
                                           fields[ENDED].parameter,
                                           fields[REASON].parameter,
                                           evidence.device,
                                           evidence.key,
                                           fields[STATEMENT].parameter };
        r = database_call_repeatable(request, "finish_signed_recording", parameters, ELEMENTSOF(parameters),
                                     &result);
        if (r < 0)
                return r;
        json_t *missing = json_loads(PQgetvalue(result, 0, 0), 0, NULL);
        if (!json_is_array(missing)) {
                json_decref(missing);
                return -EIO;
        }
        if (json_array_size(missing) > 0)
                return request_problem_full(request, PROBLEM_SEGMENTS_MISSING,
                                            json_pack("{s:o}", "missing", missing), NULL);
        json_decref(missing);
        return request_reply_empty(request, MHD_HTTP_NO_CONTENT);
}
