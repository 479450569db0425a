/* SPDX-License-Identifier: Apache-2.0 */

/* Any text as a token: parsed, and never accepted, since the key was never used to sign one. */

#include <openssl/ec.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static EVP_PKEY *key = NULL;
        json_t *claims = NULL, *jwk;
        EVP_PKEY *other = NULL;
        char *token = strndup((const char *) data, size);

        if (!key && !(key = EVP_EC_gen("P-256")))
                abort();
        if (!token)
                return 0;
        if (jws_verify(token, key, &claims) >= 0)
                abort();
        if (jws_claims_unverified(token, &claims) >= 0)
                json_decref(claims);
        RecordingStatement recording;
        SegmentStatement segment;
        if (segment_statement_verify(token, &segment, &other) >= 0 ||
            recording_statement_verify(token, &recording, &other) >= 0)
                EVP_PKEY_free(TAKE_PTR(other));
        free(token);
        jwk = json_loadb((const char *) data, size, 0, NULL);
        if (jwk && jwk_to_key(jwk, &other) >= 0)
                EVP_PKEY_free(other);
        json_decref(jwk);
        return 0;
}
