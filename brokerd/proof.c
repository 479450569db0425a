/* SPDX-License-Identifier: Apache-2.0 */

#include "proof.h"

#include <openssl/sha.h>
#include <string.h>
#include <time.h>

int proof_sign(EVP_PKEY *key, const char *url, const char *member, const char *value, char **ret) {
        json_auto_t *claims = json_pack("{s:s, s:s, s:I}", "aud", url, member, value, "iat",
                                        (json_int_t) time(NULL));

        return claims ? jws_sign(key, NULL, claims, ret) : -ENOMEM;
}

int proof_sign_hash(EVP_PKEY *key, const char *url, const char *member, const char *secret, char **ret) {
        uint8_t digest[SHA256_DIGEST_LENGTH];
        char hex[2 * sizeof(digest) + 1];

        SHA256((const uint8_t *) secret, strlen(secret), digest);
        for (size_t i = 0; i < sizeof(digest); i++)
                snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        return proof_sign(key, url, member, hex, ret);
}
