/* SPDX-License-Identifier: Apache-2.0 */

#include "conninfo.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <string.h>

DEFINE_CLEANUP(PQconninfoOption *, PQconninfoFreep, PQconninfoFree)

static const char *value_of(const PQconninfoOption *options, const char *keyword) {
        for (; options->keyword; options++)
                if (strcmp(options->keyword, keyword) == 0)
                        return options->val && options->val[0] ? options->val : NULL;
        return NULL;
}

/* libpq takes several, separated by commas, and a socket's folder for a host. */
static bool are_local(const char *hosts) {
        for (const char *p = hosts;; p++) {
                size_t length = strcspn(p, ",");

                if (length > 0 && p[0] != '/' && p[0] != '@' && strncmp(p, "127.", 4) != 0 &&
                    !(length == 9 && strncmp(p, "localhost", 9) == 0) &&
                    !(length == 3 && strncmp(p, "::1", 3) == 0))
                        return false;
                p += length;
                if (!*p)
                        return true;
        }
}

int conninfo_check(const char *conninfo, const char **ret_error) {
        _cleanup_(PQconninfoFreep) PQconninfoOption *given = PQconninfoParse(conninfo, NULL),
                                                    *defaults = PQconndefaults();

        *ret_error = "out of memory";
        if (!defaults)
                return -ENOMEM;
        *ret_error = "it cannot be read";
        if (!given)
                return -EINVAL;
        *ret_error = "it must have no password: name a passfile=, or let PostgreSQL know us by our user (peer)";
        if (value_of(given, "password"))
                return -EPERM;
        const char *mode = value_of(given, "sslmode") ?: value_of(defaults, "sslmode");
        if (mode && strcmp(mode, "verify-full") == 0)
                return 0;
        /* hostaddr is where it goes if both are given; a service's file could name any. */
        const char *hosts = value_of(given, "hostaddr") ?: value_of(given, "host");
        if (!hosts && !value_of(given, "service"))
                hosts = value_of(defaults, "hostaddr") ?: value_of(defaults, "host") ?: "";
        *ret_error = "a database that is not on this machine needs sslmode=verify-full";
        return hosts && are_local(hosts) ? 0 : -EPERM;
}
