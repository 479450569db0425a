/* SPDX-License-Identifier: Apache-2.0 */

/* Any text as a token: parsed, and never accepted, since the key was never used to sign one. And as what
 * somebody signs who has a key: a statement that is accepted says what it would have to say. */

#include <openssl/ec.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "statement.h"

static void read_token(const char *token, EVP_PKEY *key) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *other = NULL, *another = NULL;
        _cleanup_(json_decrefp) json_t *claims = NULL, *unverified = NULL;
        RecordingStatement recording;
        SegmentStatement segment;

        if (jws_verify(token, key, &claims) >= 0)
                abort();
        if ((jws_claims_unverified(token, &unverified) >= 0 && !unverified) ||
            (segment_statement_verify(token, &segment, &other) >= 0 && !other) ||
            (recording_statement_verify(token, &recording, &another) >= 0 && !another))
                abort();
}

/* Both were signed by the same key, each signature another. */
static void check_same(const char *one, const char *other) {
        const char *end = strrchr(one, '.');

        if (strncmp(one, other, (size_t) (end - one) + 1) != 0)
                abort();
}

static void sign_statement(EVP_PKEY *key, const json_t *claims, const char *type) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *other = NULL;
        _cleanup_free_ char *token = NULL, *again = NULL;
        RecordingStatement recording;
        SegmentStatement segment;
        json_t *jwk;
        int r = 0;

        if (jwk_from_key(key, &jwk) < 0)
                abort();
        _cleanup_(json_decrefp) json_t *header = json_pack("{s:o, s:s}", "jwk", jwk, "typ", type);
        if (jws_sign(key, header, claims, &token) < 0)
                return;
        if (segment_statement_verify(token, &segment, &other) >= 0)
                r = segment_statement_sign(key, &segment, &again);
        else if (recording_statement_verify(token, &recording, &other) >= 0)
                r = recording_statement_sign(key, &recording, &again);
        if (r < 0)
                abort();
        if (again)
                check_same(token, again);
}

static void read_json(const json_t *json, EVP_PKEY *key) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *other = NULL;
        _cleanup_(json_decrefp) json_t *claims = NULL;
        _cleanup_free_ char *token = NULL;

        if (jwk_to_key(json, &other) >= 0 && !other)
                abort();
        if (jws_sign(key, NULL, json, &token) >= 0 &&
            (jws_verify(token, key, &claims) < 0 || !json_equal(claims, json)))
                abort();
        sign_statement(key, json, "streamsight-segment+jwt");
        sign_statement(key, json, "streamsight-recording+jwt");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static EVP_PKEY *key = NULL;
        _cleanup_free_ char *token = strndup((const char *) data, size);

        if (!key && !(key = EVP_EC_gen("P-256")))
                abort();
        if (!token)
                return 0;
        read_token(token, key);
        _cleanup_(json_decrefp) json_t *json =
                        json_loadb((const char *) data, size, JSON_REJECT_DUPLICATES, NULL);
        if (json_is_object(json))
                read_json(json, key);
        return 0;
}
