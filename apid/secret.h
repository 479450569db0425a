/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How the tenants' secret access keys lie in the database: AES-256-GCM under the master key, which is never
 * in the database. Stored form: 1 byte version (2), 8 bytes of the key's name, 12 bytes random nonce,
 * ciphertext, 16 bytes tag; the additional authenticated data is the version byte and the bucket's id (as
 * printed, lower-case), so that a secret cannot be moved to another bucket's row. Version 1 has no name. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

#define MASTER_KEY_SIZE    32U
#define MASTER_KEYS_MAX    2U
#define MASTER_KEY_ID_SIZE 8U
#define SECRET_PLAIN_MAX   256U
#define SECRET_OVERHEAD    37U
#define SECRET_STORED_MAX  (SECRET_PLAIN_MAX + SECRET_OVERHEAD)

/* One, or two while it is replaced: the first encrypts, both decrypt. */
typedef struct MasterKeys {
        uint8_t keys[MASTER_KEYS_MAX][MASTER_KEY_SIZE];
        size_t n;
} MasterKeys;

/* A key's name: the beginning of a hash of it. -EIO: OpenSSL failed. */
int master_key_id(const uint8_t key[static MASTER_KEY_SIZE],
                  uint8_t ret[static MASTER_KEY_ID_SIZE]) _must_check_;

/* The key of this name, NULL if it is none of them. id NULL: what was made before keys had names, under the
 * oldest. */
const uint8_t *master_keys_find(const MasterKeys *keys, const uint8_t *id);

/* Encrypts a NUL-terminated secret. -EINVAL: empty or over SECRET_PLAIN_MAX; -EIO: OpenSSL failed. */
int secret_seal(const MasterKeys *keys, const char *bucket_id, const char *plain,
                uint8_t ret[static SECRET_STORED_MAX], size_t *ret_size) _must_check_;

/* The inverse; ret is NUL-terminated, and the caller's to wipe. -EBADMSG: malformed; -EKEYREJECTED: altered,
 * of another bucket, or under none of the master keys; -EIO: OpenSSL failed. */
int secret_open(const MasterKeys *keys, const char *bucket_id, const uint8_t *stored, size_t size,
                char ret[static SECRET_PLAIN_MAX + 1]) _must_check_;

/* Whether it was encrypted with the first key, by its name. */
bool secret_is_current(const MasterKeys *keys, const uint8_t *stored, size_t size);
