/* SPDX-License-Identifier: Apache-2.0 */

#include "conninfo.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

DEFINE_CLEANUP(PQconninfoOption *, PQconninfoFreep, PQconninfoFree)

static const char *value_of(const PQconninfoOption *options, const char *keyword) {
        for (; options->keyword; options++)
                if (strcmp(options->keyword, keyword) == 0)
                        return options->val && options->val[0] ? options->val : NULL;
        return NULL;
}

/* A socket's folder, nothing for the usual one, or a loopback address. "127.example.org" is none. */
static bool is_local(const char *host) {
        struct in6_addr v6;
        struct in_addr v4;

        if (host[0] == '\0' || host[0] == '/' || host[0] == '@' || strcmp(host, "localhost") == 0)
                return true;
        if (inet_pton(AF_INET, host, &v4) == 1)
                return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* libpq takes several, separated by commas. */
static bool are_local(const char *hosts) {
        for (const char *p = hosts;; p++) {
                size_t length = strcspn(p, ",");
                char host[256]; /* a socket's folder is no longer than sun_path, a name than 253 */

                if (length >= sizeof(host))
                        return false;
                snprintf(host, sizeof(host), "%.*s", (int) length, p);
                if (!is_local(host))
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
