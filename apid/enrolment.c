/* SPDX-License-Identifier: Apache-2.0 */

/* How somebody who was invited chooses a password and an authenticator, and how they change the password or
 * get other recovery codes. */

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "code.h"
#include "handlers.h"
#include "login.h"
#include "password.h"
#include "qr.h"
#include "session.h"
#include "token.h"
#include "totp.h"

#define RECOVERY_CODES  10
#define RECOVERY_GROUPS 4U /* 79 bits */

static int check_new_password(Request *request, const char *name, const char *password) {
        if (strlen(password) >= PASSWORD_MIN)
                return 0;
        return request_problem_detail(request, PROBLEM_FIELD_INVALID, "\"%s\" must have at least %u bytes.",
                                      name, PASSWORD_MIN);
}

static int reply_secret(Request *request, const char *email, const uint8_t *secret, const char *challenge) {
        _cleanup_free_ char *uri = NULL, *svg = NULL;
        char base32[TOTP_BASE32_SIZE];
        int r;

        totp_base32(secret, base32);
        if ((r = totp_uri(email, base32, &uri)) < 0 || (r = qr_svg(uri, &svg)) < 0)
                return r;
        r = request_reply_json(request, MHD_HTTP_OK,
                               json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "challenge", challenge,
                                         "expires_in", 1800, "email", email, "secret", base32, "uri", uri,
                                         "qr_svg", svg));
        OPENSSL_cleanse(base32, sizeof(base32));
        OPENSSL_cleanse(uri, strlen(uri));
        OPENSSL_cleanse(svg, strlen(svg));
        return r;
}

int handle_invitation(Request *request) {
        enum { INVITATION, PASSWORD, _N };
        Field fields[_N] = {
                [INVITATION] = { "invitation", FIELD_TEXT, .maximum = 64 },
                [PASSWORD] = { "password", FIELD_TEXT, .maximum = PASSWORD_MAX },
        };
        _cleanup_(PQclearp) PGresult *guest = NULL, *result = NULL;
        uint8_t company_salt[PASSWORD_SALT_SIZE], secret[TOTP_SECRET_SIZE], masked[TOTP_SECRET_SIZE],
                        nonce[TOTP_NONCE_SIZE], key_id[MASTER_KEY_ID_SIZE];
        const char *renewed[3], *challenge;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r >= 0)
                r = check_new_password(request, "password", fields[PASSWORD].text);
        if (r < 0)
                return r;
        char *invitation = request_keep(request, strdup(fields[INVITATION].text));
        if (!invitation)
                return -ENOMEM;
        code_normalise(invitation);
        const char *const who[] = { invitation };
        if ((r = database_call_repeatable(request, "invitation_parameters", who, 1, &guest)) < 0 ||
            (r = database_bytes(guest, "company_salt", company_salt, sizeof(company_salt))) < 0 ||
            (r = password_renew(request, fields[PASSWORD].text, company_salt, renewed)) < 0 ||
            (r = token_make(request, "ssc", &challenge)) < 0)
                return r;
        if (RAND_priv_bytes(secret, sizeof(secret)) != 1 || RAND_bytes(nonce, sizeof(nonce)) != 1)
                return -EIO;
        const uint8_t *key = request->context->master_keys.keys[0];
        if ((r = totp_pad(key, database_text(guest, "account_id"), nonce, masked)) < 0 ||
            (r = master_key_id(key, key_id)) < 0)
                return r;
        for (size_t i = 0; i < sizeof(masked); i++)
                masked[i] ^= secret[i];
        const char *const parameters[] = {
                invitation,
                renewed[0],
                renewed[1],
                renewed[2],
                token_bytea(request, masked, sizeof(masked)),
                token_bytea(request, nonce, sizeof(nonce)),
                challenge,
                token_bytea(request, key_id, sizeof(key_id)),
                request_client_address(request),
        };
        r = database_call(request, "accept_invitation", parameters, ELEMENTSOF(parameters), &result);
        if (r >= 0)
                r = reply_secret(request, database_text(guest, "email"), secret, challenge);
        OPENSSL_cleanse(secret, sizeof(secret));
        return r;
}

/* As JSON, and separated by spaces for the database. */
static int make_recovery_codes(Request *request, json_t **ret, const char **ret_plain) {
        char code[CODE_SIZE(RECOVERY_GROUPS)], plain[CODE_PLAIN(RECOVERY_GROUPS)];
        _cleanup_(json_decrefp) json_t *codes = json_array();
        char *all = request_keep(request, calloc(RECOVERY_CODES, sizeof(plain)));
        int r;

        if (!codes || !all)
                return -ENOMEM;
        for (int i = 0; i < RECOVERY_CODES; i++) {
                r = code_make(RECOVERY_GROUPS, code, plain);
                if (r < 0)
                        return r;
                if (json_array_append_new(codes, json_string(code)) < 0)
                        return -ENOMEM;
                if (i > 0)
                        strcat(all, " ");
                strcat(all, plain);
        }
        *ret = TAKE_PTR(codes);
        *ret_plain = all;
        return 0;
}

int handle_totp_confirm(Request *request) {
        enum { CHALLENGE, CODE, _N };
        Field fields[_N] = {
                [CHALLENGE] = { "challenge", FIELD_TEXT, .maximum = 64 },
                [CODE] = { "code", FIELD_TEXT, .maximum = 64 },
        };
        _cleanup_(PQclearp) PGresult *result = NULL;
        _cleanup_(json_decrefp) json_t *codes = NULL;
        const char *pad, *account, *plain;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0)
                return r;
        char *code = request_keep(request, strdup(fields[CODE].text));
        if (!code)
                return -ENOMEM;
        code_normalise(code);
        if ((r = challenge_pad(request, fields[CHALLENGE].text, "enrol", &pad, &account)) < 0 ||
            (r = make_recovery_codes(request, &codes, &plain)) < 0)
                return r;
        const char *const parameters[] = { fields[CHALLENGE].text, code, pad, plain,
                                           request_client_address(request) };
        r = database_call(request, "confirm_totp", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (strcmp(PQgetvalue(result, 0, 0), "t") != 0)
                return request_problem(request, PROBLEM_LOGIN_REFUSED);
        return request_reply_json(request, MHD_HTTP_OK, json_pack("{s:O}", "recovery_codes", codes));
}

/* With what the present password was hashed with in found. */
static int derive_present(Request *request, const PGresult *found, const char *password,
                          uint8_t salt[static 2 * PASSWORD_SALT_SIZE], const char **ret) {
        int r;

        if ((r = database_bytes(found, "company_salt", salt, PASSWORD_SALT_SIZE)) < 0 ||
            (r = database_bytes(found, "salt", salt + PASSWORD_SALT_SIZE, PASSWORD_SALT_SIZE)) < 0)
                return r;
        *ret = password_parameter(request, password, salt, 2 * PASSWORD_SALT_SIZE,
                                  strtoull(database_text(found, "iterations"), NULL, 10));
        return *ret ? 0 : -ENOMEM;
}

int handle_password(Request *request) {
        enum { PRESENT, NEXT, _N };
        Field fields[_N] = {
                [PRESENT] = { "password", FIELD_TEXT, .maximum = PASSWORD_MAX },
                [NEXT] = { "new_password", FIELD_TEXT, .maximum = PASSWORD_MAX },
        };
        _cleanup_(PQclearp) PGresult *found = NULL, *result = NULL;
        uint8_t salt[2 * PASSWORD_SALT_SIZE];
        const char *renewed[3], *derived;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r >= 0)
                r = check_new_password(request, "new_password", fields[NEXT].text);
        if (r < 0)
                return r;
        const char *const who[] = { request->token };
        if ((r = database_call_repeatable(request, "password_parameters", who, 1, &found)) < 0 ||
            (r = derive_present(request, found, fields[PRESENT].text, salt, &derived)) < 0 ||
            (r = password_renew(request, fields[NEXT].text, salt, renewed)) < 0)
                return r;
        const char *const parameters[] = { request->token, derived,    renewed[0],
                                           renewed[1],     renewed[2], request_client_address(request) };
        r = database_call(request, "change_password", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (strcmp(database_text(result, "outcome"), "changed") != 0)
                return login_refuse(request, PROBLEM_PASSWORD_WRONG, database_text(result, "retry_after"));
        session_forget(request, database_text(result, "ended"));
        return request_reply_empty(request, MHD_HTTP_NO_CONTENT);
}

int handle_recovery_codes(Request *request) {
        enum { PASSWORD, CODE, _N };
        Field fields[_N] = {
                [PASSWORD] = { "password", FIELD_TEXT, .maximum = PASSWORD_MAX },
                [CODE] = { "code", FIELD_TEXT, .maximum = 64 },
        };
        _cleanup_(PQclearp) PGresult *found = NULL, *result = NULL;
        _cleanup_(json_decrefp) json_t *codes = NULL;
        uint8_t salt[2 * PASSWORD_SALT_SIZE];
        const char *derived, *pad, *account, *plain;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0)
                return r;
        const char *const who[] = { request->token };
        if ((r = database_call_repeatable(request, "factor_parameters", who, 1, &found)) < 0 ||
            (r = derive_present(request, found, fields[PASSWORD].text, salt, &derived)) < 0 ||
            (r = account_pad(request, found, &pad, &account)) < 0 ||
            (r = make_recovery_codes(request, &codes, &plain)) < 0)
                return r;
        const char *const parameters[] = {
                request->token, derived, fields[CODE].text, pad, plain, request_client_address(request),
        };
        r = database_call(request, "renew_recovery_codes", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (strcmp(database_text(result, "outcome"), "renewed") != 0)
                return login_refuse(request, PROBLEM_FACTORS_WRONG, database_text(result, "retry_after"));
        return request_reply_json(request, MHD_HTTP_OK, json_pack("{s:O}", "recovery_codes", codes));
}
