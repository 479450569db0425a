/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How the device key lies on disk: AES-256-GCM under the wrapping key, 32 random bytes that systemd passes
 * as a credential (systemd.exec(5), LoadCredentialEncrypted=). Stored form: the magic of 8 bytes, which is
 * authenticated too, 12 bytes random nonce, ciphertext, 16 bytes tag. */

#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

#define KEY_SEAL_MAGIC    "SSKEY\0\0\1"
#define KEY_SEAL_OVERHEAD (8U + 12U + 16U)
#define WRAPPING_KEY_SIZE 32U

/* Encrypts size bytes into ret, which has room for KEY_SEAL_OVERHEAD more. -EIO: OpenSSL failed. */
int key_seal(const uint8_t wrapping[static WRAPPING_KEY_SIZE], const void *plain, size_t size,
             uint8_t *ret) _must_check_;

/* The inverse; ret has room for size bytes, and is the caller's to wipe. -EBADMSG: not such a thing;
 * -EKEYREJECTED: altered, or under another wrapping key. */
int key_unseal(const uint8_t wrapping[static WRAPPING_KEY_SIZE], const uint8_t *sealed, size_t size,
               uint8_t *ret, size_t *ret_size) _must_check_;
