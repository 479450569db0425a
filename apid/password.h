/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* PBKDF2-HMAC-SHA-512 (RFC 8018 §5.2). It is meant to take long: never on a thread that answers requests. */

#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

#define PASSWORD_ITERATIONS_MIN 210000U /* OWASP's for SHA-512 */
#define PASSWORD_ITERATIONS_MAX 10000000U
#define PASSWORD_MIN            12U /* bytes of a new password */
#define PASSWORD_MAX            1024U
#define PASSWORD_SALT_SIZE      32U /* of an account; before it comes the company's, as long */
#define PASSWORD_DERIVED_SIZE   64U

/* Takes as long as that many iterations do, for nothing. -EIO: OpenSSL failed. */
int password_waste(const char *password, uint64_t iterations) _must_check_;

/* How many iterations this process has done. */
uint64_t password_iterations_done(void);

/* -EINVAL: too few or too many iterations; -EIO: OpenSSL failed. */
int password_derive(const char *password, const uint8_t *salt, size_t salt_size, uint64_t iterations,
                    uint8_t ret[static PASSWORD_DERIVED_SIZE]) _must_check_;
