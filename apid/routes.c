/* SPDX-License-Identifier: Apache-2.0 */

#include "routes.h"

#include <string.h>
#include <strings.h>

#include "database.h"
#include "handlers.h"
#include "management.h"
#include "session.h"
#include "value.h"

#define TOKEN_MAX    256U
#define SEQUENCE_MAX 99999999U

static const Route routes[] = {
        { "GET", "/v1/health", AUTH_NONE, handle_health },
        { "POST", "/v1/devices/enroll", AUTH_NONE, handle_enroll },
        { "POST", "/v1/devices/token", AUTH_NONE, handle_token },
        { "GET", "/v1/devices/self/policy", AUTH_TOKEN, handle_device_policy },
        { "POST", "/v1/devices/self/leave", AUTH_TOKEN, handle_device_leave },
        { "POST", "/v1/devices/self/diagnostics", AUTH_TOKEN, handle_device_diagnostics },
        { "POST", "/v1/devices/self/key", AUTH_TOKEN, handle_device_key },
        { "PUT", "/v1/recordings/{uuid}", AUTH_TOKEN, handle_recording_open },
        { "POST", "/v1/recordings/{uuid}/segments", AUTH_TOKEN, handle_segment_offer },
        { "POST", "/v1/recordings/{uuid}/segments/{number}/complete", AUTH_TOKEN, handle_segment_complete },
        { "POST", "/v1/recordings/{uuid}/finish", AUTH_TOKEN, handle_recording_finish },
        { "POST", "/v1/auth/login", AUTH_PAGE, handle_login, .slow = true },
        { "POST", "/v1/auth/totp", AUTH_PAGE, handle_totp },
        { "POST", "/v1/auth/invitation", AUTH_PAGE, handle_invitation, .slow = true },
        { "POST", "/v1/auth/totp/confirm", AUTH_PAGE, handle_totp_confirm },
        { "GET", "/v1/auth/session", AUTH_USER, handle_session },
        { "POST", "/v1/auth/password", AUTH_USER, handle_password, .slow = true },
        { "POST", "/v1/auth/recovery-codes", AUTH_USER, handle_recovery_codes, .slow = true },
        { "POST", "/v1/auth/logout", AUTH_USER, handle_logout },
        { "POST", "/v1/auth/logout-everywhere", AUTH_USER, handle_logout_everywhere },
        { "GET", "/v1/recordings", AUTH_USER, handle_recordings_list },
        { "GET", "/v1/recordings/{uuid}/segments", AUTH_USER, handle_segments_list },
        { "POST", "/v1/segments/{uuid}/url", AUTH_USER, handle_segment_url },
};

int handle_health(Request *request) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = database_call_repeatable(request, "version", NULL, 0, &result);
        return r < 0 ? r : request_reply_text(request, MHD_HTTP_OK, "{\"status\":\"ok\"}");
}

static bool value_fits(const char *kind, size_t kind_length, const char *value) {
        uint64_t number;

        if (strncmp(kind, "{uuid}", kind_length) == 0)
                return value_is_uuid(value);
        return value_parse_uint(value, SEQUENCE_MAX, &number) >= 0;
}

/* 1: matches, with the values in ret; 0: does not. */
static int path_match(const char *pattern, const char *path, char *ret[static ROUTE_VALUES_MAX]) {
        size_t n_values = 0;

        for (;;) {
                size_t wanted = strcspn(pattern, "/"), given = strcspn(path, "/");
                if (pattern[0] == '{') {
                        char *value = strndup(path, given);
                        if (!value)
                                return -ENOMEM;
                        ret[n_values++] = value;
                        if (!value_fits(pattern, wanted, value))
                                return 0;
                } else if (wanted != given || strncmp(pattern, path, wanted) != 0)
                        return 0;
                pattern += wanted;
                path += given;
                if (*pattern != *path)
                        return 0;
                if (*pattern == '\0')
                        return 1;
                pattern++;
                path++;
        }
}

static void values_clear(Request *request) {
        for (size_t i = 0; i < ROUTE_VALUES_MAX; i++) {
                free(request->values[i]);
                request->values[i] = NULL;
        }
}

/* RFC 6750 §2.1: token68 after the scheme, whose case does not matter. */
static int read_token(Request *request) {
        const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                        MHD_HTTP_HEADER_AUTHORIZATION);

        if (!value || strncasecmp(value, "Bearer ", 7) != 0)
                return request_problem(request, PROBLEM_TOKEN_INVALID);
        value += 7 + strspn(value + 7, " ");
        size_t length = strspn(value,
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=");
        if (length == 0 || length > TOKEN_MAX || value[length] != '\0')
                return request_problem(request, PROBLEM_TOKEN_INVALID);
        request->token_copy = strdup(value);
        if (!request->token_copy)
                return -ENOMEM;
        request->token = request->token_copy;
        return 0;
}

/* What costs no more than a look at the headers. */
static int authenticate(Request *request) {
        switch (request->route->auth) {
        case AUTH_PAGE:
                return session_check_origin(request);
        case AUTH_TOKEN:
                return read_token(request);
        default:
                return 0;
        }
}

int route_handle(Request *request) {
        int r = request->route->auth == AUTH_USER ? session_authenticate(request) : 0;

        return r < 0 ? r : request->route->handler(request);
}

const Route *route_at(size_t i) {
        if (i >= ELEMENTSOF(routes) + n_management_routes)
                return NULL;
        return i < ELEMENTSOF(routes) ? &routes[i] : &management_routes[i - ELEMENTSOF(routes)];
}

static int method_not_allowed(Request *request, const char *allow) {
        int r;

        r = request_problem(request, PROBLEM_METHOD_NOT_ALLOWED);
        if (r == -EBADMSG && request_add_header(request, MHD_HTTP_HEADER_ALLOW, allow) < 0)
                return -ENOMEM;
        return r;
}

int route_request(Request *request, const char *method, const char *path) {
        char allow[64] = "";
        int r;

        for (size_t i = 0; route_at(i); i++) {
                const Route *route = route_at(i);
                r = path_match(route->path, path, request->values);
                if (r < 0)
                        return r;
                if (r > 0 && strcmp(method, route->method) == 0) {
                        request->route = route;
                        return authenticate(request);
                }
                if (r > 0) {
                        size_t length = strlen(allow);
                        snprintf(allow + length, sizeof(allow) - length, "%s%s", length > 0 ? ", " : "",
                                 route->method);
                }
                values_clear(request);
        }
        return allow[0] ? method_not_allowed(request, allow) : request_problem(request, PROBLEM_NOT_FOUND);
}
