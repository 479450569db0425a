/* SPDX-License-Identifier: Apache-2.0 */

#include "totp.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

int totp_pad(const uint8_t key[static MASTER_KEY_SIZE], const char *account_id,
             const uint8_t nonce[static TOTP_NONCE_SIZE], uint8_t ret[static TOTP_SECRET_SIZE]) {
        static const char purpose[] = "streamsight totp";
        unsigned char message[sizeof(purpose) + 36 + TOTP_NONCE_SIZE], digest[32];

        if (strlen(account_id) != 36)
                return -EINVAL;
        memcpy(message, purpose, sizeof(purpose));
        memcpy(message + sizeof(purpose), account_id, 36);
        memcpy(message + sizeof(purpose) + 36, nonce, TOTP_NONCE_SIZE);
        if (!HMAC(EVP_sha256(), key, MASTER_KEY_SIZE, message, sizeof(message), digest, NULL))
                return -EIO;
        memcpy(ret, digest, TOTP_SECRET_SIZE);
        OPENSSL_cleanse(digest, sizeof(digest));
        return 0;
}

void totp_base32(const uint8_t secret[static TOTP_SECRET_SIZE], char ret[static TOTP_BASE32_SIZE]) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

        for (size_t bit = 0; bit < TOTP_SECRET_SIZE * 8; bit += 5) {
                size_t i = bit / 8;
                unsigned pair = (unsigned) secret[i] << 8 | (i + 1 < TOTP_SECRET_SIZE ? secret[i + 1] : 0);
                *ret++ = letters[pair >> (11 - bit % 8) & 31];
        }
        *ret = '\0';
}

int totp_uri(const char *email, const char *base32, char **ret) {
        static const char hex[] = "0123456789ABCDEF";
        char label[3 * 254 + 1], *out = label;

        if (strlen(email) > 254)
                return -EINVAL;
        for (const unsigned char *p = (const unsigned char *) email; *p; p++)
                if (isascii(*p) && (isalnum(*p) || strchr("-._~@", *p)))
                        *out++ = (char) *p;
                else {
                        *out++ = '%';
                        *out++ = hex[*p >> 4];
                        *out++ = hex[*p & 15];
                }
        *out = '\0';
        if (asprintf(ret,
                     "otpauth://totp/StreamSight:%s?secret=%s&issuer=StreamSight&algorithm=SHA1&digits=6&period=30",
                     label, base32) < 0)
                return -ENOMEM;
        return 0;
}
