/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* apid/schema/ in the order of its numbers, put here at build time by apid/schema/embed.py. */

#include <stddef.h>

typedef struct Migration {
        int number;
        const char *name;   /* "0001-roles" */
        const char *sha256; /* of the file, lower-case hexadecimal */
        const char *sql;
} Migration;

extern const Migration migrations[];
extern const size_t n_migrations;
