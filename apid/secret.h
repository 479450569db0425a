/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How the tenants' secret access keys lie in the database: AES-256-GCM under the master key, which is never
 * in the database. Stored form: 1 byte version (1), 12 bytes random nonce, ciphertext, 16 bytes tag; the
 * additional authenticated data is the version byte and the bucket's id (as printed, lower-case), so that a
 * secret cannot be moved to another bucket's row. */

#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

#define MASTER_KEY_SIZE   32U
#define SECRET_PLAIN_MAX  256U
#define SECRET_OVERHEAD   29U
#define SECRET_STORED_MAX (SECRET_PLAIN_MAX + SECRET_OVERHEAD)

/* Encrypts a NUL-terminated secret. -EINVAL: empty or over SECRET_PLAIN_MAX; -EIO: OpenSSL failed. */
int secret_seal(const uint8_t key[static MASTER_KEY_SIZE], const char *bucket_id, const char *plain,
                uint8_t ret[static SECRET_STORED_MAX], size_t *ret_size) _must_check_;

/* The inverse; ret is NUL-terminated, and the caller's to wipe. -EBADMSG: malformed; -EKEYREJECTED: altered,
 * of another bucket, or under another master key; -EIO: OpenSSL failed. */
int secret_open(const uint8_t key[static MASTER_KEY_SIZE], const char *bucket_id, const uint8_t *stored,
                size_t size, char ret[static SECRET_PLAIN_MAX + 1]) _must_check_;
