/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Codes that people copy by hand: groups of four of 31 characters, none of which looks like another. */

#include "cleanup.h"

#define CODE_GROUPS_MAX 8U
#define CODE_SIZE(n)    ((n) *5) /* with dashes and a NUL */
#define CODE_PLAIN(n)   ((n) *4 + 1)

/* Five groups have 99 bits. ret_plain is without dashes. -EIO: there is no randomness. */
int code_make(unsigned groups, char *ret_code, char *ret_plain) _must_check_;

/* The same from key_size bytes that are random already, so that they give the same code again: expanded with
 * HMAC-SHA-256. */
int code_derive(const void *key, size_t key_size, unsigned groups, char *ret_code,
                char *ret_plain) _must_check_;

/* Takes back what a person may add or change, in place: case, and anything that is no letter or digit. */
void code_normalise(char *code);
