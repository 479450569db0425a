/* SPDX-License-Identifier: Apache-2.0 */

#include "session.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "jws.h"
#include "log.h"
#include "redis.h"
#include "value.h"

#define JWT_MAX     1024U
#define TOKEN_SIZE  47U /* "sss_" and 32 bytes in base64url */
#define HASH_PREFIX "streamsight:session:"

/* The key's name (the beginning of its SHA-256) is in the header, and the header is the same for each token
 * of a key: so it is compared, never interpreted (RFC 8725 §3.1). */
static int make_header(const uint8_t key[static SESSION_KEY_SIZE], char **ret) {
        uint8_t digest[32];
        char kid[17], header[96];

        if (EVP_Digest(key, SESSION_KEY_SIZE, digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        value_format_hex(digest, 8, kid);
        int n = snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", kid);
        return base64url_encode(header, (size_t) n, ret);
}

/* RFC 7518 §3.2, in base64url. */
static int make_mac(const uint8_t key[static SESSION_KEY_SIZE], const char *text, size_t length,
                    char **ret) {
        uint8_t mac[32];

        if (!HMAC(EVP_sha256(), key, SESSION_KEY_SIZE, (const unsigned char *) text, length, mac, NULL))
                return -EIO;
        return base64url_encode(mac, sizeof(mac), ret);
}

static int jwt_make(const Context *context, json_t *claims, char **ret) {
        _cleanup_(json_decrefp) json_t *owned = claims;
        _cleanup_free_ char *header = NULL, *payload = NULL, *mac = NULL, *signed_text = NULL;
        char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
        int r;

        if (!text)
                return -ENOMEM;
        r = base64url_encode(text, strlen(text), &payload);
        OPENSSL_cleanse(text, strlen(text));
        free(text);
        if (r < 0 || (r = make_header(context->session_keys[0], &header)) < 0)
                return r;
        if (asprintf(&signed_text, "%s.%s", header, payload) < 0) {
                signed_text = NULL;
                return -ENOMEM;
        }
        r = make_mac(context->session_keys[0], signed_text, strlen(signed_text), &mac);
        if (r < 0)
                return r;
        return asprintf(ret, "%s.%s", signed_text, mac) < 0 ? -ENOMEM : 0;
}

/* -EKEYREJECTED unless one of our keys has signed it. The comparison takes as long for a nearly right
 * signature as for any other. */
static int jwt_open(const Context *context, const char *jwt, json_t **ret_claims) {
        const char *first = strchr(jwt, '.'), *last = strrchr(jwt, '.');

        if (!first || first == last || strlen(jwt) > JWT_MAX)
                return -EKEYREJECTED;
        for (size_t i = 0; i < context->n_session_keys; i++) {
                _cleanup_free_ char *header = NULL, *mac = NULL;
                int r = make_header(context->session_keys[i], &header);
                if (r >= 0)
                        r = make_mac(context->session_keys[i], jwt, (size_t) (last - jwt), &mac);
                if (r < 0)
                        return r;
                if (strlen(header) != (size_t) (first - jwt) || memcmp(header, jwt, strlen(header)) != 0 ||
                    strlen(mac) != strlen(last + 1) || CRYPTO_memcmp(mac, last + 1, strlen(mac)) != 0)
                        continue;
                uint8_t *payload = NULL;
                size_t size = 0;
                if (base64url_decode(first + 1, (size_t) (last - first - 1), &payload, &size) < 0)
                        return -EKEYREJECTED;
                *ret_claims = json_loadb((char *) payload, size, JSON_REJECT_DUPLICATES, NULL);
                OPENSSL_cleanse(payload, size);
                free(payload);
                return *ret_claims ? 0 : -EKEYREJECTED;
        }
        return -EKEYREJECTED;
}

static int redis_key(const char *token, char ret[static sizeof(HASH_PREFIX) + 64]) {
        uint8_t digest[32];

        if (EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        strcpy(ret, HASH_PREFIX);
        value_format_hex(digest, sizeof(digest), ret + strlen(HASH_PREFIX));
        return 0;
}

static const char *idle_seconds(const Context *context, char ret[static 24]) {
        snprintf(ret, 24, "%lu", (unsigned long) context->settings.idle_seconds);
        return ret;
}

static int unavailable(Request *request, int r) {
        return r == -ENOMEM ? r : request_problem(request, PROBLEM_SESSIONS_UNAVAILABLE);
}

/* Whether Redis still has it; every use gives it another while. */
static int touch(Request *request) {
        char key[sizeof(HASH_PREFIX) + 64], idle[24];
        _cleanup_(redisReplyp) redisReply *reply = NULL;
        int r;

        r = redis_key(request->token, key);
        if (r < 0)
                return r;
        const char *const argv[] = { "GETEX", key, "EX", idle_seconds(request->context, idle) };
        r = redis_command(&request->context->redis, ELEMENTSOF(argv), argv, &reply);
        if (r < 0)
                return unavailable(request, r);
        if (reply->type != REDIS_REPLY_STRING || strcmp(reply->str, request->account) != 0)
                return request_problem(request, PROBLEM_TOKEN_EXPIRED);
        return 0;
}

/* Our own page's requests name our own origin; so do no others: browsers set both headers themselves. */
static int check_origin(Request *request, bool required) {
        const char *public_url = request->context->settings.public_url;
        const char *origin = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Origin");
        const char *site =
                        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Sec-Fetch-Site");
        const char *path = strchr(public_url + strlen("https://"), '/');
        size_t length = path ? (size_t) (path - public_url) : strlen(public_url);

        if ((!origin && required) ||
            (origin && (strlen(origin) != length || strncasecmp(origin, public_url, length) != 0)) ||
            (site && strcmp(site, "same-origin") != 0))
                return request_problem(request, PROBLEM_ORIGIN_REFUSED);
        return 0;
}

int session_check_origin(Request *request) {
        return check_origin(request, false);
}

int session_authenticate(Request *request) {
        const char *header = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                         MHD_HTTP_HEADER_AUTHORIZATION);
        const char *jwt = header && strncasecmp(header, "Bearer ", 7) == 0
                                          ? header + 7 + strspn(header + 7, " ")
                                          : NULL;
        _cleanup_(json_decrefp) json_t *claims = NULL;
        const char *token, *account;
        json_int_t expires;
        int r;

        if (!header) {
                jwt = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, SESSION_COOKIE);
                if (jwt && strcmp(request->route->method, "GET") != 0 &&
                    (r = check_origin(request, true)) < 0)
                        return r;
        }
        if (request->context->n_session_keys == 0)
                return request_problem(request, PROBLEM_SESSIONS_UNAVAILABLE);
        r = jwt ? jwt_open(request->context, jwt, &claims) : -EKEYREJECTED;
        if (r < 0 && r != -EKEYREJECTED)
                return r;
        if (r < 0 ||
            json_unpack(claims, "{s:s, s:s, s:I}", "sid", &token, "sub", &account, "exp", &expires) < 0 ||
            strlen(token) != TOKEN_SIZE || !value_is_uuid(account))
                return request_problem(request, PROBLEM_TOKEN_INVALID);
        if (expires <= time(NULL))
                return request_problem(request, PROBLEM_TOKEN_EXPIRED);
        request->token = request->token_copy = strdup(token);
        request->account = request_keep(request, strdup(account));
        if (!request->token || !request->account)
                return -ENOMEM;
        return touch(request);
}

int session_begin(Request *request, const char *token, const char *account, time_t expires) {
        const Context *context = request->context;
        char key[sizeof(HASH_PREFIX) + 64], idle[24];
        _cleanup_(redisReplyp) redisReply *reply = NULL;
        _cleanup_free_ char *jwt = NULL, *cookie = NULL;
        time_t now = time(NULL);
        int r;

        r = redis_key(token, key);
        if (r < 0)
                return r;
        const char *const argv[] = { "SET", key, account, "EX", idle_seconds(context, idle) };
        r = redis_command(&context->redis, ELEMENTSOF(argv), argv, &reply);
        if (r < 0)
                return unavailable(request, r);
        r = jwt_make(context,
                     json_pack("{s:s, s:s, s:I, s:I}", "sid", token, "sub", account, "iat", (json_int_t) now,
                               "exp", (json_int_t) expires),
                     &jwt);
        if (r < 0)
                return r;
        if (asprintf(&cookie, SESSION_COOKIE "=%s; Path=/; Max-Age=%li; HttpOnly; Secure; SameSite=Lax", jwt,
                     (long) (expires - now)) < 0) {
                cookie = NULL;
                return -ENOMEM;
        }
        return request_add_header(request, MHD_HTTP_HEADER_SET_COOKIE, cookie);
}

void session_forget(Request *request, const char *hashes) {
        _cleanup_(json_decrefp) json_t *list = json_loads(hashes, 0, NULL);
        const json_t *hash;
        size_t i;

        json_array_foreach (list, i, hash) {
                _cleanup_(redisReplyp) redisReply *reply = NULL;
                char key[sizeof(HASH_PREFIX) + 64];
                const char *text = json_string_value(hash);

                if (!text || !value_is_sha256(text))
                        continue;
                snprintf(key, sizeof(key), HASH_PREFIX "%s", text);
                const char *const argv[] = { "DEL", key };
                int r = redis_command(&request->context->redis, ELEMENTSOF(argv), argv, &reply);
                if (r < 0)
                        log_warning_errno(r,
                                          "A session that ended stays in Redis until it expires there: %m");
        }
}

int session_clear_cookie(Request *request) {
        return request_add_header(request, MHD_HTTP_HEADER_SET_COOKIE,
                                  SESSION_COOKIE "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax");
}
