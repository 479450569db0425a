/* SPDX-License-Identifier: Apache-2.0 */

#include "request.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "announcements.h"
#include "text.h"
#include "value.h"

char *request_keep(Request *request, char *text) {
        if (text && request->n_kept == ELEMENTSOF(request->kept)) {
                free(text);
                return NULL;
        }
        if (text)
                request->kept[request->n_kept++] = text;
        return text;
}

void request_free(Request *request) {
        if (!request)
                return;
        if (request->token_copy)
                explicit_bzero(request->token_copy, strlen(request->token_copy));
        free(request->token_copy);
        if (request->body)
                explicit_bzero(request->body, request->body_size);
        free(request->body);
        json_decref(request->json);
        announcement_free(request->announcement);
        for (size_t i = 0; i < ROUTE_VALUES_MAX; i++)
                free(request->values[i]);
        for (size_t i = 0; i < request->n_kept; i++)
                free(request->kept[i]);
        if (request->response)
                MHD_destroy_response(request->response);
        free(request);
}

static const char *header(Request *request, const char *name) {
        return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool request_has_type(Request *request, const char *type) {
        const char *value = header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
        size_t length = strlen(type);

        return value && strncasecmp(value, type, length) == 0 &&
               (value[length] == '\0' || strchr("; \t", value[length]));
}

const char *request_client_address(Request *request) {
        const char *value = header(request, "X-Forwarded-For");
        uint8_t address[sizeof(struct in6_addr)];

        if (!value || (inet_pton(AF_INET, value, address) != 1 && inet_pton(AF_INET6, value, address) != 1))
                return NULL;
        return value;
}

static int reply(Request *request, unsigned status, const char *type, char *text, bool copy) {
        struct MHD_Response *response = MHD_create_response_from_buffer(
                        text ? strlen(text) : 0, text, copy ? MHD_RESPMEM_MUST_COPY : MHD_RESPMEM_MUST_FREE);

        if (!response) {
                if (!copy)
                        free(text);
                return -ENOMEM;
        }
        if (request->response)
                MHD_destroy_response(request->response);
        request->response = response;
        request->status = status;
        if (text && MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) != MHD_YES)
                return -ENOMEM;
        return 0;
}

int request_add_header(Request *request, const char *name, const char *value) {
        return MHD_add_response_header(request->response, name, value) == MHD_YES ? 0 : -ENOMEM;
}

int request_reply_json(Request *request, unsigned status, json_t *body) {
        _cleanup_(json_decrefp) json_t *value = body;
        char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

        return text ? reply(request, status, "application/json", text, false) : -ENOMEM;
}

int request_reply_text(Request *request, unsigned status, const char *json) {
        return reply(request, status, "application/json", (char *) json, true);
}

int request_reply_empty(Request *request, unsigned status) {
        return reply(request, status, NULL, NULL, true);
}

int request_problem_full(Request *request, Problem problem, json_t *extra, const char *format, ...) {
        const ProblemInfo *info = &problems[problem];
        _cleanup_free_ char *detail = NULL, *type = NULL;
        _cleanup_(json_decrefp) json_t *more = extra;
        va_list ap;
        int r = 0;

        if (format) {
                va_start(ap, format);
                r = vasprintf(&detail, format, ap);
                va_end(ap);
        }
        if (r < 0 || asprintf(&type, "urn:streamsight:problem:%s", info->code) < 0)
                return -ENOMEM;
        _cleanup_(json_decrefp) json_t *body =
                        json_pack("{s:s, s:s, s:i, s:s, s:s, s:s*}", "type", type, "title", info->title,
                                  "status", (int) info->status, "detail", detail ?: info->detail, "code",
                                  info->code, "error", info->error);
        if (!body || (more && json_object_update(body, more) < 0))
                return -ENOMEM;
        char *text = json_dumps(body, JSON_COMPACT);
        if (!text)
                return -ENOMEM;
        r = reply(request, info->status, "application/problem+json", text, false);
        if (r < 0)
                return r;
        if (info->status == MHD_HTTP_UNAUTHORIZED && request->route &&
            (request->route->auth == AUTH_TOKEN || request->route->auth == AUTH_USER))
                r = request_add_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                       "Bearer realm=\"streamsight\", error=\"invalid_token\"");
        else if (info->status == MHD_HTTP_SERVICE_UNAVAILABLE)
                r = request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, "5");
        return r < 0 ? r : -EBADMSG;
}

int request_read_json(Request *request) {
        json_error_t error;

        if (!request_has_type(request, "application/json"))
                return request_problem(request, PROBLEM_BODY_TYPE_UNSUPPORTED);
        if (!request->json)
                request->json = json_loadb(request->body ?: "", request->body_size, JSON_REJECT_DUPLICATES,
                                           &error);
        if (!json_is_object(request->json))
                return request_problem(request, PROBLEM_BODY_INVALID);
        return 0;
}

static bool is_one_of(const char *text, const char *words) {
        size_t length = strlen(text);

        for (const char *p = words; *p;) {
                size_t n = strcspn(p, " ");
                if (n == length && strncmp(p, text, n) == 0)
                        return true;
                p += n + strspn(p + n, " ");
        }
        return false;
}

/* A problem that names the value and what it must be. */
static int field_problem(Request *request, const Field *field) {
        const char *name = field->name;

        switch (field->type) {
        case FIELD_TEXT:
                return request_problem_detail(request, PROBLEM_FIELD_INVALID,
                                              "\"%s\" must be a string of 1 to %" PRIu64
                                              " bytes without control characters.",
                                              name, field->maximum);
        case FIELD_WORD:
                return request_problem_detail(request, PROBLEM_FIELD_INVALID, "\"%s\" must be one of: %s.",
                                              name, field->words);
        case FIELD_UINT:
                return request_problem_detail(request, PROBLEM_FIELD_INVALID,
                                              "\"%s\" must be an integer from %" PRIu64 " to %" PRIu64 ".",
                                              name, field->minimum, field->maximum);
        case FIELD_UUID:
                return request_problem_detail(request, PROBLEM_FIELD_INVALID,
                                              "\"%s\" must be a UUID in lower case.", name);
        case FIELD_SHA256:
                return request_problem_detail(
                                request, PROBLEM_FIELD_INVALID,
                                "\"%s\" must be a SHA-256 as 64 lower-case hexadecimal digits%s.", name,
                                field->optional ? ", or null" : "");
        case FIELD_MD5:
                return request_problem_detail(request, PROBLEM_FIELD_INVALID,
                                              "\"%s\" must be an MD5 in base64.", name);
        case FIELD_BOOL:
                return request_problem_detail(request, PROBLEM_FIELD_INVALID,
                                              "\"%s\" must be true or false.", name);
        case FIELD_TIME:
                return request_problem_detail(
                                request, PROBLEM_FIELD_INVALID,
                                "\"%s\" must be a time like 2030-01-31T23:59:59.000000Z (RFC 3339, UTC).",
                                name);
        }
        return -EINVAL;
}

/* Checks field->text and derives parameter and number from it. */
static int field_check(Request *request, Field *field) {
        const char *text = field->text;
        char *made = NULL;
        uint8_t md5[16];
        bool ok = false;

        field->parameter = text;
        switch (field->type) {
        case FIELD_TEXT:
                ok = value_is_text(text, field->maximum);
                break;
        case FIELD_WORD:
                ok = text[0] != '\0' && is_one_of(text, field->words);
                break;
        case FIELD_UINT:
                ok = value_parse_uint(text, field->maximum, &field->number) >= 0 &&
                     field->number >= field->minimum;
                break;
        case FIELD_UUID:
                ok = value_is_uuid(text);
                break;
        case FIELD_SHA256:
                ok = value_is_sha256(text);
                if (ok && asprintf(&made, "\\x%s", text) < 0)
                        return -ENOMEM;
                break;
        case FIELD_MD5:
                ok = value_parse_md5(text, md5) >= 0;
                if (ok) {
                        if (!(made = malloc(2 + 2 * sizeof(md5) + 1)))
                                return -ENOMEM;
                        memcpy(made, "\\x", 2);
                        value_format_hex(md5, sizeof(md5), made + 2);
                }
                break;
        case FIELD_TIME:
                ok = value_is_time(text);
                break;
        case FIELD_BOOL:
                ok = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
                break;
        }
        if (!ok)
                return field_problem(request, field);
        if (made && !(field->parameter = request_keep(request, made)))
                return -ENOMEM;
        return 0;
}

int request_read_fields(Request *request, Field *fields, size_t n_fields) {
        int r;

        r = request_read_json(request);
        for (size_t i = 0; i < n_fields && r >= 0; i++) {
                const json_t *value = json_object_get(request->json, fields[i].name);

                if (fields[i].type == FIELD_UINT && json_is_integer(value)) {
                        char *number;
                        if (asprintf(&number, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0 ||
                            !(fields[i].text = request_keep(request, number)))
                                return -ENOMEM;
                        r = field_check(request, &fields[i]);
                } else if (fields[i].type == FIELD_BOOL && json_is_boolean(value)) {
                        fields[i].text = fields[i].parameter = json_is_true(value) ? "true" : "false";
                } else if (fields[i].type != FIELD_UINT && fields[i].type != FIELD_BOOL &&
                           json_is_string(value)) {
                        fields[i].text = json_string_value(value);
                        r = field_check(request, &fields[i]);
                } else if (!((fields[i].optional || fields[i].omittable) && json_is_null(value)) &&
                           !(fields[i].omittable && !value))
                        r = field_problem(request, &fields[i]);
        }
        return r;
}

int request_read_query(Request *request, Field *fields, size_t n_fields) {
        int r = 0;

        for (size_t i = 0; i < n_fields && r >= 0; i++) {
                fields[i].text = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND,
                                                             fields[i].name);
                if (fields[i].text)
                        r = field_check(request, &fields[i]);
        }
        return r;
}

/* Decodes in place; false for a bad or NUL escape. */
static bool form_decode(char *text) {
        char *out = text;

        for (const char *p = text; *p; p++) {
                if (*p == '%') {
                        int byte = text_percent_byte(p);
                        if (byte <= 0)
                                return false;
                        *out++ = (char) byte;
                        p += 2;
                } else
                        *out++ = *p == '+' ? ' ' : *p;
        }
        *out = '\0';
        return true;
}

const char *request_form_value(Request *request, const char *name) {
        const char *value = NULL;
        size_t name_length = strlen(name), value_length = 0;

        if (!request->body || strlen(request->body) != request->body_size)
                return NULL;
        for (const char *p = request->body; *p;) {
                size_t length = strcspn(p, "&");
                if (length > name_length && strncmp(p, name, name_length) == 0 && p[name_length] == '=') {
                        if (value)
                                return NULL;
                        value = p + name_length + 1;
                        value_length = length - name_length - 1;
                }
                p += length + (p[length] == '&');
        }
        char *copy = value ? request_keep(request, strndup(value, value_length)) : NULL;
        return copy && form_decode(copy) ? copy : NULL;
}
