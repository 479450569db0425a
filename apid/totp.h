/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The secret of an authenticator (RFC 6238), which the database keeps and checks codes with, but XORed with
 * a pad that only the holder of the master key can derive. So the database alone does not have it, and
 * neither does apid alone: it hands in the pad with each code. */

#include "secret.h"

#define TOTP_SECRET_SIZE 20U /* as long as SHA-1's output: RFC 4226 §4 */
#define TOTP_NONCE_SIZE  16U
#define TOTP_BASE32_SIZE 33U /* with a NUL */

/* HMAC-SHA-256 of the account's id (as printed) and the nonce, under the master key. */
int totp_pad(const uint8_t key[static MASTER_KEY_SIZE], const char *account_id,
             const uint8_t nonce[static TOTP_NONCE_SIZE], uint8_t ret[static TOTP_SECRET_SIZE]) _must_check_;

/* RFC 4648 §6; 20 bytes need no padding. */
void totp_base32(const uint8_t secret[static TOTP_SECRET_SIZE], char ret[static TOTP_BASE32_SIZE]);

/* What a QR code for an authenticator holds: otpauth://totp/StreamSight:EMAIL?secret=…. The caller's. */
int totp_uri(const char *email, const char *base32, char **ret) _must_check_;
