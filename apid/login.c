/* SPDX-License-Identifier: Apache-2.0 */

/* Logging in and out: a password, then a code of the authenticator. What is compared is compared by the
 * database; here it is only derived. */

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "code.h"
#include "database.h"
#include "handlers.h"
#include "log.h"
#include "login.h"
#include "password.h"
#include "redis.h"
#include "session.h"
#include "token.h"
#include "totp.h"
#include "value.h"

#define EMAIL_MAX 254U

int database_bytes(const PGresult *result, const char *column, void *ret, size_t size) {
        size_t n;
        unsigned char *bytes = PQunescapeBytea((const unsigned char *) database_text(result, column), &n);

        if (!bytes)
                return -ENOMEM;
        if (n == size)
                memcpy(ret, bytes, size);
        OPENSSL_cleanse(bytes, n);
        PQfreemem(bytes);
        return n == size ? 0 : -EIO;
}

const char *password_parameter(Request *request, const char *password, const uint8_t *salt, size_t salt_size,
                               uint64_t iterations) {
        uint8_t derived[PASSWORD_DERIVED_SIZE];
        const char *text = NULL;

        if (password_derive(password, salt, salt_size, iterations, derived) >= 0)
                text = token_bytea(request, derived, sizeof(derived));
        OPENSSL_cleanse(derived, sizeof(derived));
        return text;
}

int login_refuse(Request *request, Problem problem, const char *retry_after) {
        int r;

        if (strcmp(retry_after, "0") != 0)
                problem = PROBLEM_LOGIN_LOCKED;
        r = request_problem(request, problem);
        if (r == -EBADMSG && problem == PROBLEM_LOGIN_LOCKED &&
            request_add_header(request, MHD_HTTP_HEADER_RETRY_AFTER, retry_after) < 0)
                return -ENOMEM;
        return r;
}

int password_renew(Request *request, const char *password, const uint8_t *company_salt,
                   const char *ret[static 3]) {
        uint8_t salt[2 * PASSWORD_SALT_SIZE];
        uint64_t iterations = request->context->settings.password_iterations;
        char *number;

        memcpy(salt, company_salt, PASSWORD_SALT_SIZE);
        if (RAND_bytes(salt + PASSWORD_SALT_SIZE, PASSWORD_SALT_SIZE) != 1)
                return -EIO;
        if (asprintf(&number, "%lu", (unsigned long) iterations) < 0)
                return -ENOMEM;
        ret[1] = request_keep(request, number);
        ret[0] = token_bytea(request, salt + PASSWORD_SALT_SIZE, PASSWORD_SALT_SIZE);
        ret[2] = password_parameter(request, password, salt, sizeof(salt), iterations);
        return ret[0] && ret[1] && ret[2] ? 0 : -ENOMEM;
}

/* The password is right, and hashed with other parameters than today's. That it cannot be renewed now
 * hinders nobody. */
static int renew(Request *request, const char *password, const uint8_t *company_salt,
                 const char *challenge) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        const char *renewed[3];
        int r;

        r = password_renew(request, password, company_salt, renewed);
        if (r < 0)
                return r;
        const char *const parameters[] = { challenge, renewed[0], renewed[1], renewed[2] };
        r = database_call_repeatable(request, "renew_password", parameters, ELEMENTSOF(parameters), &result);
        return r == -EBADMSG ? 0 : r;
}

int handle_login(Request *request) {
        enum { EMAIL, PASSWORD, _N };
        Field fields[_N] = {
                [EMAIL] = { "email", FIELD_TEXT, .maximum = EMAIL_MAX },
                [PASSWORD] = { "password", FIELD_TEXT, .maximum = PASSWORD_MAX },
        };
        _cleanup_(PQclearp) PGresult *found = NULL, *result = NULL;
        uint64_t usual = request->context->settings.password_iterations;
        uint8_t salt[2 * PASSWORD_SALT_SIZE];
        char number[24];
        const char *challenge;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0)
                return r;
        snprintf(number, sizeof(number), "%lu", (unsigned long) usual);
        const char *const address[] = { fields[EMAIL].text, number };
        r = database_call_repeatable(request, "login_parameters", address, ELEMENTSOF(address), &found);
        if (r < 0)
                return r;
        if (strcmp(database_text(found, "locked"), "0") != 0)
                return login_refuse(request, PROBLEM_LOGIN_LOCKED, database_text(found, "locked"));
        uint64_t iterations = strtoull(database_text(found, "iterations"), NULL, 10);
        if ((r = database_bytes(found, "salt", salt, sizeof(salt))) < 0 ||
            (r = token_make(request, "ssc", &challenge)) < 0)
                return r;
        const char *derived =
                        password_parameter(request, fields[PASSWORD].text, salt, sizeof(salt), iterations);
        if (!derived)
                return -ENOMEM;
        /* A password that was hashed when fewer were usual takes as long as any: else it would tell that
         * there is such an account. */
        if (iterations < usual && (r = password_waste(fields[PASSWORD].text, usual - iterations)) < 0)
                return r;
        const char *const parameters[] = { fields[EMAIL].text, derived, challenge,
                                           request_client_address(request) };
        r = database_call(request, "login_password", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (strcmp(database_text(result, "outcome"), "challenge") != 0)
                return login_refuse(request, PROBLEM_LOGIN_REFUSED, database_text(result, "retry_after"));
        if (iterations != usual && (r = renew(request, fields[PASSWORD].text, salt, challenge)) < 0)
                return r;
        return request_reply_json(request, MHD_HTTP_OK,
                                  json_pack("{s:s, s:i}", "challenge", challenge, "expires_in", 300));
}

int account_pad(Request *request, const PGresult *result, const char **ret_pad, const char **ret_account) {
        uint8_t nonce[TOTP_NONCE_SIZE], id[MASTER_KEY_ID_SIZE], pad[TOTP_SECRET_SIZE];
        int r;

        const char *account = request_keep(request, strdup(database_text(result, "account_id")));
        if (!account)
                return -ENOMEM;
        bool named = database_text(result, "totp_key_id")[0];
        if (named && (r = database_bytes(result, "totp_key_id", id, sizeof(id))) < 0)
                return r;
        const uint8_t *key = master_keys_find(&request->context->master_keys, named ? id : NULL);
        if (!key)
                return log_error_errno(ENOKEY,
                                       "The authenticator of account %s is under none of the master keys",
                                       account);
        if ((r = database_bytes(result, "totp_nonce", nonce, sizeof(nonce))) < 0 ||
            (r = totp_pad(key, account, nonce, pad)) < 0)
                return r;
        *ret_pad = token_bytea(request, pad, sizeof(pad));
        *ret_account = account;
        OPENSSL_cleanse(pad, sizeof(pad));
        return *ret_pad ? 0 : -ENOMEM;
}

int challenge_pad(Request *request, const char *challenge, const char *purpose, const char **ret_pad,
                  const char **ret_account) {
        const char *const parameters[] = { challenge, purpose };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = database_call_repeatable(request, "challenge_parameters", parameters, ELEMENTSOF(parameters),
                                     &result);
        return r < 0 ? r : account_pad(request, result, ret_pad, ret_account);
}

/* Before a code is used up: is there anywhere to keep the session? */
static int require_redis(Request *request) {
        static const char *const ping[] = { "PING" };
        _cleanup_(redisReplyp) redisReply *reply = NULL;

        if (request->context->n_session_keys > 0 &&
            redis_command(&request->context->redis, ELEMENTSOF(ping), ping, &reply) >= 0)
                return 0;
        return request_problem(request, PROBLEM_SESSIONS_UNAVAILABLE);
}

int handle_totp(Request *request) {
        enum { CHALLENGE, CODE, _N };
        Field fields[_N] = {
                [CHALLENGE] = { "challenge", FIELD_TEXT, .maximum = 64 },
                [CODE] = { "code", FIELD_TEXT, .maximum = 64 },
        };
        _cleanup_(PQclearp) PGresult *result = NULL;
        const char *pad, *account, *token;
        char *code;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0)
                return r;
        code = request_keep(request, strdup(fields[CODE].text));
        if (!code)
                return -ENOMEM;
        code_normalise(code);
        if ((r = require_redis(request)) < 0 ||
            (r = challenge_pad(request, fields[CHALLENGE].text, "login", &pad, &account)) < 0 ||
            (r = token_make(request, "sss", &token)) < 0)
                return r;
        const char *const parameters[] = { fields[CHALLENGE].text, code, pad, token,
                                           request_client_address(request) };
        r = database_call(request, "login_totp", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (strcmp(database_text(result, "outcome"), "session") != 0)
                return login_refuse(request, PROBLEM_LOGIN_REFUSED, database_text(result, "retry_after"));
        r = request_reply_json(
                        request, MHD_HTTP_OK,
                        json_pack("{s:o}", "user", json_loads(database_text(result, "account"), 0, NULL)));
        if (r < 0)
                return r;
        return session_begin(request, token, account,
                             (time_t) strtoll(database_text(result, "expires"), NULL, 10));
}

int handle_session(Request *request) {
        const char *const parameters[] = { request->token };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = database_call_repeatable(request, "session", parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : request_reply_text(request, MHD_HTTP_OK, PQgetvalue(result, 0, 0));
}

static int log_out(Request *request, const char *everywhere) {
        const char *const parameters[] = { request->token, everywhere, request_client_address(request) };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = database_call(request, "logout", parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        session_forget(request, PQgetvalue(result, 0, 0));
        r = request_reply_empty(request, MHD_HTTP_NO_CONTENT);
        return r < 0 ? r : session_clear_cookie(request);
}

int handle_logout(Request *request) {
        return log_out(request, "false");
}

int handle_logout_everywhere(Request *request) {
        return log_out(request, "true");
}
