/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* apid/schema/, put here at build time by its embed.py. What it is of is in schema-version.h. */

#include <stddef.h>

/* In the order of their numbers. */
typedef struct Migration {
        int number;
        const char *name;   /* "0001-roles" */
        const char *sha256; /* of the file, lower-case hexadecimal */
        const char *sql;
} Migration;

/* In the order in which they are run. */
typedef struct Procedures {
        const char *name; /* "callers" */
        const char *sql;
} Procedures;

extern const Migration migrations[];
extern const size_t n_migrations;

extern const Procedures procedures[];
extern const size_t n_procedures;
