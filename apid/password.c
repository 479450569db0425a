/* SPDX-License-Identifier: Apache-2.0 */

#include "password.h"

#include <openssl/evp.h>
#include <string.h>

int password_derive(const char *password, const uint8_t *salt, size_t salt_size, uint64_t iterations,
                    uint8_t ret[static PASSWORD_DERIVED_SIZE]) {
        if (iterations < PASSWORD_ITERATIONS_MIN || iterations > PASSWORD_ITERATIONS_MAX)
                return -EINVAL;
        return PKCS5_PBKDF2_HMAC(password, (int) strlen(password), salt, (int) salt_size, (int) iterations,
                                 EVP_sha512(), PASSWORD_DERIVED_SIZE, ret) == 1
                               ? 0
                               : -EIO;
}
