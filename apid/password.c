/* SPDX-License-Identifier: Apache-2.0 */

#include "password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

static atomic_ulong done;

uint64_t password_iterations_done(void) {
        return atomic_load(&done);
}

static int derive(const char *password, const uint8_t *salt, size_t salt_size, uint64_t iterations,
                  uint8_t *ret) {
        atomic_fetch_add(&done, iterations);
        return PKCS5_PBKDF2_HMAC(password, (int) strlen(password), salt, (int) salt_size, (int) iterations,
                                 EVP_sha512(), PASSWORD_DERIVED_SIZE, ret) == 1
                               ? 0
                               : -EIO;
}

int password_waste(const char *password, uint64_t iterations) {
        static const uint8_t salt[PASSWORD_SALT_SIZE];
        uint8_t derived[PASSWORD_DERIVED_SIZE];
        int r = derive(password, salt, sizeof(salt), iterations, derived);

        OPENSSL_cleanse(derived, sizeof(derived));
        return r;
}

int password_derive(const char *password, const uint8_t *salt, size_t salt_size, uint64_t iterations,
                    uint8_t ret[static PASSWORD_DERIVED_SIZE]) {
        if (iterations < PASSWORD_ITERATIONS_MIN || iterations > PASSWORD_ITERATIONS_MAX)
                return -EINVAL;
        return derive(password, salt, salt_size, iterations, ret);
}
