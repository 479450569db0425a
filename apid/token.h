/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tokens and codes that are given out: 256 bits from the system's generator. */

#include "request.h"

/* "prefix_" and 43 characters; the prefix tells scanners for leaked secrets, and people, what it is. The
 * request's own. -EIO: there is no randomness; -ENOMEM. */
int token_make(Request *request, const char *prefix, const char **ret) _must_check_;

/* Bytes as PostgreSQL takes a bytea, "\x…"; the request's own. NULL: out of memory. */
const char *token_bytea(Request *request, const uint8_t *data, size_t size);
