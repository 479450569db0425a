/* SPDX-License-Identifier: Apache-2.0 */

#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#include "assertion.h"
#include "code.h"
#include "database.h"
#include "handlers.h"
#include "jws.h"
#include "log.h"
#include "value.h"

#define CODE_MAX        64U
#define HOSTNAME_MAX    255U
#define DIAGNOSTICS_MAX 16384U

static char *normalise_code(Request *request, const char *code) {
        char *copy = request_keep(request, strdup(code));

        if (copy)
                code_normalise(copy);
        return copy;
}

static int sha256_hex(const char *text, char ret[static 65]) {
        uint8_t digest[32];

        if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        value_format_hex(digest, sizeof(digest), ret);
        return 0;
}

/* The caller holds the private key, and made the proof for this server, now, and for what member says. */
static int check_proof(Request *request, EVP_PKEY *key, const char *proof, const char *member,
                       const char *wanted) {
        _cleanup_(json_decrefp) json_t *claims = NULL;
        const char *audience, *value;
        json_int_t issued;
        int r;

        r = jws_verify(proof, key, &claims);
        if (r == -ENOMEM)
                return r;
        if (r < 0 ||
            json_unpack(claims, "{s:s, s:s, s:I}", "aud", &audience, member, &value, "iat", &issued) < 0)
                return request_problem(request, PROBLEM_PROOF_INVALID);
        if (strcmp(audience, request->context->settings.public_url) != 0)
                return request_problem_detail(request, PROBLEM_PROOF_INVALID,
                                              "The proof's \"aud\" must be this server's URL: %s",
                                              request->context->settings.public_url);
        if (strcmp(value, wanted) != 0)
                return request_problem(request, PROBLEM_PROOF_INVALID);
        return assertion_check_time(request, issued, issued);
}

/* "public_key", also as PostgreSQL takes a bytea. */
static int read_public_key(Request *request, EVP_PKEY **ret,
                           char ret_point[static 2 + 2 * P256_POINT_SIZE + 1]) {
        uint8_t point[P256_POINT_SIZE];
        int r;

        r = jwk_to_key(json_object_get(request->json, "public_key"), ret);
        if (r == -EBADMSG)
                return request_problem_detail(
                                request, PROBLEM_FIELD_INVALID,
                                "\"public_key\" must be a JWK of a P-256 public key: kty, crv, x, y.");
        if (r < 0 || (r = p256_to_point(*ret, point)) < 0)
                return r;
        strcpy(ret_point, "\\x");
        value_format_hex(point, sizeof(point), ret_point + 2);
        return 0;
}

int handle_enroll(Request *request) {
        enum { CODE, HOSTNAME, PROOF, _N };
        Field fields[_N] = {
                [CODE] = { "code", FIELD_TEXT, .maximum = CODE_MAX },
                [HOSTNAME] = { "hostname", FIELD_TEXT, .maximum = HOSTNAME_MAX },
                [PROOF] = { "proof", FIELD_TEXT, .maximum = JWS_TOKEN_MAX },
        };
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        _cleanup_(PQclearp) PGresult *result = NULL;
        char point_hex[2 + 2 * P256_POINT_SIZE + 1], code_sha256[65];
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0)
                return r;
        r = read_public_key(request, &key, point_hex);
        if (r < 0)
                return r;
        const char *code = normalise_code(request, fields[CODE].text);
        if (!code)
                return -ENOMEM;
        if ((r = sha256_hex(code, code_sha256)) < 0 ||
            (r = check_proof(request, key, fields[PROOF].text, "code_sha256", code_sha256)) < 0)
                return r;

        const char *const parameters[] = { code, point_hex, fields[HOSTNAME].parameter,
                                           request_client_address(request) };
        r = database_call_repeatable(request, "enroll", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        log_info("Device %s of company %s is enrolled", database_text(result, "device_id"),
                 database_text(result, "company_id"));
        return request_reply_json(request, MHD_HTTP_CREATED,
                                  json_pack("{s:s, s:s, s:s}", "device_id",
                                            database_text(result, "device_id"), "company_id",
                                            database_text(result, "company_id"), "company",
                                            database_text(result, "company")));
}

/* The key that the token's device has at present, as PostgreSQL prints a bytea; borrowed from *result. */
static int read_present_key(Request *request, PGresult **result, const char **ret) {
        const char *const who[] = { request->token };
        int r;

        r = database_call_repeatable(request, "present_key", who, 1, result);
        if (r >= 0)
                *ret = PQgetvalue(*result, 0, 0);
        return r;
}

/* A token may be stolen: what it is not enough for wants the present key's signature. */
static int check_consent(Request *request, const char *present_hex, const char *consent, const char *member,
                         const char *wanted) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *present = NULL;
        uint8_t point[P256_POINT_SIZE];
        int r;

        if (value_parse_bytea(present_hex, point, sizeof(point)) < 0)
                return -EIO;
        r = p256_from_point(point, &present);
        if (r < 0)
                return r == -EBADMSG ? -EIO : r;
        return check_proof(request, present, consent, member, wanted);
}

int handle_device_key(Request *request) {
        enum { PROOF, CONSENT, _N };
        Field fields[_N] = {
                [PROOF] = { "proof", FIELD_TEXT, .maximum = JWS_TOKEN_MAX },
                [CONSENT] = { "consent", FIELD_TEXT, .maximum = JWS_TOKEN_MAX },
        };
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        _cleanup_(PQclearp) PGresult *present = NULL, *result = NULL;
        char point_hex[2 + 2 * P256_POINT_SIZE + 1], token_sha256[65], thumbprint[THUMBPRINT_SIZE];
        const char *present_hex;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0 || (r = read_public_key(request, &key, point_hex)) < 0 ||
            (r = jwk_thumbprint(key, thumbprint)) < 0 ||
            (r = sha256_hex(request->token, token_sha256)) < 0 ||
            (r = check_proof(request, key, fields[PROOF].text, "token_sha256", token_sha256)) < 0)
                return r;
        r = read_present_key(request, &present, &present_hex);
        if (r < 0)
                return r;
        /* It has it already: the first answer was lost on the way. */
        if (strcmp(present_hex, point_hex) != 0 &&
            (r = check_consent(request, present_hex, fields[CONSENT].text, "key", thumbprint)) < 0)
                return r;
        const char *const parameters[] = { request->token, point_hex, present_hex,
                                           request_client_address(request) };
        r = database_call_repeatable(request, "change_device_key", parameters, ELEMENTSOF(parameters),
                                     &result);
        return r < 0 ? r : request_reply_empty(request, MHD_HTTP_NO_CONTENT);
}

/* Kept as it is said: no more than a size, and that it is an object, is asked of it. */
int handle_device_diagnostics(Request *request) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        const char *report;
        int r;

        r = request_read_json(request);
        if (r < 0)
                return r;
        if (!(report = request_keep(request, json_dumps(request->json, JSON_COMPACT))))
                return -ENOMEM;
        if (strlen(report) > DIAGNOSTICS_MAX)
                return request_problem(request, PROBLEM_BODY_TOO_LARGE);
        /* PostgreSQL's jsonb has no NUL. */
        if (strstr(report, "\\u0000"))
                return request_problem(request, PROBLEM_BODY_INVALID);
        const char *const parameters[] = { request->token, report };
        r = database_call(request, "add_diagnostic", parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : request_reply_empty(request, MHD_HTTP_NO_CONTENT);
}

int handle_device_leave(Request *request) {
        Field fields[] = { { "proof", FIELD_TEXT, .maximum = JWS_TOKEN_MAX } };
        _cleanup_(PQclearp) PGresult *present = NULL, *result = NULL;
        const char *present_hex;
        char token_sha256[65];
        int r;

        r = request_read_fields(request, fields, ELEMENTSOF(fields));
        if (r < 0 || (r = sha256_hex(request->token, token_sha256)) < 0 ||
            (r = read_present_key(request, &present, &present_hex)) < 0 ||
            (r = check_consent(request, present_hex, fields[0].text, "leave", token_sha256)) < 0)
                return r;
        const char *const parameters[] = { request->token, request_client_address(request) };
        r = database_call(request, "leave_device", parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : request_reply_empty(request, MHD_HTTP_NO_CONTENT);
}

/* If-None-Match: "*" or a list of entity tags (RFC 9110 §13.1.2); ours hold no comma. */
static bool tag_matches(Request *request, const char *tag) {
        const char *p = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_IF_NONE_MATCH);
        size_t length = strlen(tag);

        while (p && *p) {
                p += strspn(p, " \t,");
                if (strncmp(p, "W/", 2) == 0)
                        p += 2;
                size_t n = strcspn(p, " \t,");
                if ((n == length && strncmp(p, tag, n) == 0) || (n == 1 && *p == '*'))
                        return true;
                p += n;
        }
        return false;
}

int handle_device_policy(Request *request) {
        const char *const parameters[] = { request->token };
        _cleanup_(PQclearp) PGresult *result = NULL;
        uint8_t digest[32];
        char tag[2 + 2 * sizeof(digest) + 1];
        int r;

        r = database_call_repeatable(request, "device_policy", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        const char *policy = PQgetvalue(result, 0, 0);
        if (EVP_Digest(policy, strlen(policy), digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        tag[0] = '"';
        value_format_hex(digest, 16, tag + 1);
        strcat(tag, "\"");

        r = tag_matches(request, tag) ? request_reply_empty(request, MHD_HTTP_NOT_MODIFIED)
                                      : request_reply_text(request, MHD_HTTP_OK, policy);
        if (r >= 0)
                r = request_add_header(request, MHD_HTTP_HEADER_ETAG, tag);
        if (r >= 0)
                r = request_add_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "private, no-cache");
        return r;
}
