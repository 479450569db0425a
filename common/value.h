/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The values that requests and signed statements carry, each checked in full before anything is done with
 * it. What passes is also safe to hand to PostgreSQL as the text of a parameter. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

bool value_is_uuid(const char *text);   /* 8-4-4-4-12 lower-case hexadecimal digits (RFC 9562 §4) */
bool value_is_sha256(const char *text); /* 64 lower-case hexadecimal digits */
bool value_is_text(const char *text, size_t max_bytes); /* not empty, text_is_clean() */

/* RFC 3339 in UTC ("Z") with up to six digits of a second's fraction, years 1970 to 2999. */
bool value_is_time(const char *text);

/* Decimal without sign or leading zeros. -EINVAL, -ERANGE. */
int value_parse_uint(const char *text, uint64_t maximum, uint64_t *ret) _must_check_;

/* Padded base64 (RFC 4648 §4) of exactly 16 bytes. -EINVAL. */
int value_parse_md5(const char *text, uint8_t ret[static 16]) _must_check_;

/* As lower-case hexadecimal with a NUL; ret has 2 × size + 1 bytes. */
void value_format_hex(const uint8_t *data, size_t size, char *ret);
/* What PostgreSQL prints a bytea of exactly this size as: "\\x" and hexadecimal digits. -EINVAL. */
int value_parse_bytea(const char *text, uint8_t *ret, size_t size) _must_check_;
/* A value_is_sha256() text as bytes. */
void value_parse_sha256(const char *hex, uint8_t ret[static 32]);
