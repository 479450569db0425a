/* SPDX-License-Identifier: Apache-2.0 */

#include "code.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

int code_derive(const void *key, size_t key_size, unsigned groups, char *ret_code, char *ret_plain) {
        static const char letters[] = "ABCDEFGHJKMNPQRSTUVWXYZ23456789";
        const unsigned n_letters = sizeof(letters) - 1;
        unsigned char block[32];
        unsigned used = sizeof(block);
        char *code = ret_code, *plain = ret_plain;
        uint8_t counter = 0;

        for (unsigned i = 0; i < groups * 4;) {
                if (used == sizeof(block)) {
                        if (!HMAC(EVP_sha256(), key, (int) key_size, &counter, 1, block, NULL))
                                return -EIO;
                        counter++;
                        used = 0;
                }
                unsigned byte = block[used++];
                if (byte >= 256 / n_letters * n_letters)
                        continue;
                if (i > 0 && i % 4 == 0)
                        *code++ = '-';
                *code++ = *plain++ = letters[byte % n_letters];
                i++;
        }
        *code = *plain = '\0';
        OPENSSL_cleanse(block, sizeof(block));
        return 0;
}

int code_make(unsigned groups, char *ret_code, char *ret_plain) {
        uint8_t key[32];

        if (RAND_bytes(key, sizeof(key)) != 1)
                return -EIO;
        int r = code_derive(key, sizeof(key), groups, ret_code, ret_plain);
        OPENSSL_cleanse(key, sizeof(key));
        return r;
}

void code_normalise(char *code) {
        char *out = code;

        for (const char *p = code; *p; p++)
                if (isascii((unsigned char) *p) && isalnum((unsigned char) *p))
                        *out++ = (char) toupper((unsigned char) *p);
        *out = '\0';
}
