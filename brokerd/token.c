/* SPDX-License-Identifier: Apache-2.0 */

#include "token.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "jws.h"

#define ASSERTION_LIFETIME   55 /* seconds; the control plane allows 60 */
#define TOKEN_EXPIRES_IN_MAX 86400
#define TOKEN_LENGTH_MAX     4096

static void wipe(char **secret) {
        if (*secret) {
                OPENSSL_cleanse(*secret, strlen(*secret));
                free(*secret);
        }
        *secret = NULL;
}

bool token_is_good(const Token *token) {
        return token->value && clock_boottime() < token->renew_at;
}

int token_assertion(Token *token, const Identity *identity, const char *url) {
        char device[SD_ID128_UUID_STRING_MAX];
        _cleanup_free_ char *jti = NULL, *assertion = NULL;
        json_auto_t *header = NULL, *claims = NULL;
        uint8_t random[24];
        time_t now = time(NULL);
        int r;

        if (RAND_bytes(random, sizeof(random)) != 1)
                return -EIO;
        r = base64url_encode(random, sizeof(random), &jti);
        if (r < 0)
                return r;
        sd_id128_to_uuid_string(identity->device, device);
        header = json_pack("{s:s}", "typ", "JWT");
        claims = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "iss", device, "sub", device, "aud", url, "iat",
                           (json_int_t) now, "exp", (json_int_t) now + ASSERTION_LIFETIME, "jti", jti);
        if (!header || !claims)
                return -ENOMEM;
        r = jws_sign(identity->key, header, claims, &assertion);
        if (r < 0)
                return r;

        wipe(&token->form);
        if (asprintf(&token->form,
                     "grant_type=client_credentials"
                     "&client_assertion_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Aclient-assertion-type%%3Ajwt-"
                     "bearer&client_assertion=%s",
                     assertion) < 0) {
                token->form = NULL;
                return -ENOMEM;
        }
        return 0;
}

int token_take(Token *token, const json_t *json) {
        const char *value = json_string_value(json_object_get(json, "access_token"));
        json_int_t lifetime = json_integer_value(json_object_get(json, "expires_in"));

        wipe(&token->form);
        if (!value || lifetime <= 0 || lifetime > TOKEN_EXPIRES_IN_MAX)
                return -EBADMSG;
        /* RFC 6750 §2.1: b64token */
        if (strlen(value) > TOKEN_LENGTH_MAX ||
            value[strspn(value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/=")])
                return -EBADMSG;
        wipe(&token->value);
        if (!(token->value = strdup(value)))
                return -ENOMEM;
        /* Renewed after nine tenths of its life. */
        token->renew_at = clock_boottime() + (uint64_t) lifetime * 900000;
        return 0;
}

void token_forget(Token *token) {
        wipe(&token->value);
        wipe(&token->form);
}
