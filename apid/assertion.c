/* SPDX-License-Identifier: Apache-2.0 */

#include "assertion.h"

#include <string.h>
#include <time.h>

#include "database.h"
#include "handlers.h"
#include "jws.h"
#include "token.h"
#include "value.h"

#define JTI_MIN        22U /* 128 bits in base64url */
#define JTI_MAX        128U
#define TOKEN_LIFETIME 600                  /* seconds; api.issue_device_token() allows no more */
#define TIME_MAX       INT64_C(32503680000) /* year 3000: sums with it cannot overflow */

typedef struct Assertion {
        const char *device, *jti;
        json_int_t expires;
} Assertion;

int assertion_check_time(Request *request, json_int_t issued, json_int_t expires) {
        time_t now = time(NULL);
        struct tm tm;
        char text[32] = "";

        if (issued >= 0 && issued <= TIME_MAX && expires >= issued &&
            expires <= issued + ASSERTION_LIFETIME_MAX && issued <= now + ASSERTION_SKEW &&
            expires > now - ASSERTION_SKEW)
                return 0;
        if (gmtime_r(&now, &tm))
                strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        return request_problem_detail(
                        request, PROBLEM_ASSERTION_TIME,
                        "Here it is %s: set the device's clock, and let exp be at most %i seconds after iat.",
                        text, ASSERTION_LIFETIME_MAX);
}

/* RFC 7519 §4.1.3: one string or an array of them. An array must hold nothing else, so that what was made
 * for several servers is of no use to any of them. */
static bool audience_is(const json_t *audience, const char *wanted) {
        if (json_is_array(audience) && json_array_size(audience) == 1)
                audience = json_array_get(audience, 0);
        return json_is_string(audience) && strcmp(json_string_value(audience), wanted) == 0;
}

static int check_claims(Request *request, json_t *claims, Assertion *ret) {
        _cleanup_free_ char *audience = NULL;
        json_int_t issued, expires;
        const char *subject, *issuer, *jti;

        if (asprintf(&audience, "%s/v1/devices/token", request->context->settings.public_url) < 0) {
                audience = NULL;
                return -ENOMEM;
        }
        if (json_unpack(claims, "{s:s, s:s, s:s, s:I, s:I}", "iss", &issuer, "sub", &subject, "jti", &jti,
                        "iat", &issued, "exp", &expires) < 0 ||
            strcmp(issuer, subject) != 0 || !value_is_uuid(subject))
                return request_problem_detail(
                                request, PROBLEM_CLIENT_INVALID,
                                "The assertion needs iss and sub (both the device's id), aud, jti, iat and "
                                "exp.");
        if (!audience_is(json_object_get(claims, "aud"), audience))
                return request_problem_detail(request, PROBLEM_CLIENT_INVALID,
                                              "The assertion's \"aud\" must be %s", audience);
        if (!value_is_text(jti, JTI_MAX) || strlen(jti) < JTI_MIN)
                return request_problem_detail(
                                request, PROBLEM_CLIENT_INVALID,
                                "The assertion's \"jti\" must be random, of %u to %u characters.", JTI_MIN,
                                JTI_MAX);
        *ret = (Assertion){ .device = subject, .jti = jti, .expires = expires };
        return assertion_check_time(request, issued, expires);
}

static int device_key(Request *request, const char *device, EVP_PKEY **ret) {
        const char *const parameters[] = { device };
        _cleanup_(PQclearp) PGresult *result = NULL;
        size_t size;
        int r;

        r = database_call_repeatable(request, "device_key", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        unsigned char *point = PQunescapeBytea((const unsigned char *) PQgetvalue(result, 0, 0), &size);
        if (!point)
                return -ENOMEM;
        r = size == P256_POINT_SIZE ? p256_from_point(point, ret) : -EIO;
        PQfreemem(point);
        return r == -EBADMSG ? -EIO : r;
}

static int issue(Request *request, const Assertion *assertion) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        const char *token;
        struct tm tm;
        char kept_until[40];
        int r;

        /* The jti is remembered for as long as the assertion could be accepted. */
        time_t end = (time_t) assertion->expires + ASSERTION_SKEW;
        if (!gmtime_r(&end, &tm) || strftime(kept_until, sizeof(kept_until), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                return -EINVAL;
        r = token_make(request, "ssd", &token);
        if (r < 0)
                return r;
        const char *const parameters[] = { assertion->device, assertion->jti, kept_until, token,
                                           "600 seconds" };
        r = database_call(request, "issue_device_token", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        return request_reply_json(request, MHD_HTTP_OK,
                                  json_pack("{s:s, s:s, s:i}", "access_token", token, "token_type", "Bearer",
                                            "expires_in", TOKEN_LIFETIME));
}

int handle_token(Request *request) {
        _cleanup_(json_decrefp) json_t *claims = NULL, *verified = NULL;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        Assertion assertion = {};
        int r;

        if (!request_has_type(request, "application/x-www-form-urlencoded"))
                return request_problem(request, PROBLEM_BODY_TYPE_UNSUPPORTED);
        const char *grant = request_form_value(request, "grant_type");
        const char *type = request_form_value(request, "client_assertion_type");
        const char *token = request_form_value(request, "client_assertion");
        if (!grant || !type || !token)
                return request_problem_detail(
                                request, PROBLEM_BODY_INVALID,
                                "Send grant_type, client_assertion_type and client_assertion, once each.");
        if (strcmp(grant, "client_credentials") != 0 ||
            strcmp(type, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") != 0)
                return request_problem(request, PROBLEM_GRANT_UNSUPPORTED);

        r = jws_claims_unverified(token, &claims);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return request_problem_detail(
                                request, PROBLEM_CLIENT_INVALID,
                                "The assertion must be a JWS in compact form with \"alg\": \"ES256\".");
        if ((r = check_claims(request, claims, &assertion)) < 0 ||
            (r = device_key(request, assertion.device, &key)) < 0)
                return r;
        r = jws_verify(token, key, &verified);
        if (r == -EKEYREJECTED)
                return request_problem(request, PROBLEM_CLIENT_INVALID);
        if (r < 0)
                return r;
        return issue(request, &assertion);
}
