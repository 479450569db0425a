/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one reader of configuration files: INI as of systemd.syntax(7) without line continuation, parsed by
 * inih, described by a table, and refused as a whole at the first unknown section or key or invalid value,
 * so that a misspelt setting never silently widens what is recorded. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

/* Parses value into *target, which is of the type that the parser states. Returns 0, or -EINVAL/-ERANGE/
 * -ENOMEM. parameter comes from the table. */
typedef int (*ConfigParser)(const char *value, uint64_t parameter, void *target);

typedef struct ConfigItem {
        const char *section; /* as in [Section] */
        const char *key;
        ConfigParser parse;
        uint64_t parameter; /* meaning is the parser's; for config_parse_uint the greatest value allowed */
        void *target;
} ConfigItem;

int config_parse_string(const char *value, uint64_t max_length,
                        void *target);                                    /* char **, replaced; "" = NULL */
int config_parse_uint(const char *value, uint64_t maximum, void *target); /* uint64_t, decimal */
int config_parse_bool(const char *value, uint64_t unused, void *target);  /* bool: yes/no, true/false, 1/0 */
/* char ***: a NULL-terminated list of words, appended to; an empty value clears it. At most max_words. */
int config_parse_words(const char *value, uint64_t max_words, void *target);

/* Reads path and then every path.d drop-in "PATH.d/NAME.conf" in the order of their names; later values win.
 * A missing main file is -ENOENT; the .d folder may be missing. On failure *ret_error (which may be NULL) is
 * a line that names file, line and what is wrong, to be freed by the caller. Files over 64 KiB are -E2BIG.
 */
int config_load(const char *path, const ConfigItem *items, size_t n_items, char **ret_error);

void config_words_free(char **words);
DEFINE_CLEANUP(char **, config_words_freep, config_words_free)
