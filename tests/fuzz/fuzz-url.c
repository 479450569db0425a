/* SPDX-License-Identifier: Apache-2.0 */

/* Any text as a URL: what is accepted is https, without a user, and matches no pin but its own host; and
 * where a bucket is pinned, not even the most careless of servers takes the path for another's. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"
#include "http-url.h"

static int digit(char c) {
        return c >= '0' && c <= '9'                     ? c - '0'
               : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                        : -1;
}

/* Decodes once, in place; whether anything was encoded. */
static bool decode(char *text) {
        bool found = false;
        char *to = text;

        for (const char *p = text; *p; p++)
                if (*p == '%' && digit(p[1]) >= 0 && digit(p[2]) >= 0) {
                        *to++ = (char) (digit(p[1]) * 16 + digit(p[2]));
                        p += 2;
                        found = true;
                } else
                        *to++ = *p;
        *to = '\0';
        return found;
}

/* As a server would that decodes for as long as it can, takes backslashes for slashes, several for one, what
 * is behind a semicolon for a parameter, and then goes up for each "..": whether it ends in folder. In
 * place. */
static bool careless_server_stays_in(char *path, const char *folder) {
        const char *segments[4096];
        size_t n = 0;

        while (decode(path))
                ;
        for (char *p = path; *p; p++)
                *p = *p == '\\' ? '/' : *p;
        for (char *save, *segment = strtok_r(path, "/", &save); segment;
             segment = strtok_r(NULL, "/", &save)) {
                segment[strcspn(segment, ";")] = '\0';
                if (strcmp(segment, "..") == 0)
                        n -= n > 0;
                else if (strcmp(segment, ".") != 0 && segment[0] && n < ELEMENTSOF(segments))
                        segments[n++] = segment;
        }
        return n > 1 && strcmp(segments[0], folder) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *url = strndup((const char *) data, size), *host;
        char *pins[] = { (char *) "s3.example.org", NULL },
             *bucket[] = { (char *) "s3.example.org/bucket", NULL };
        uint16_t port;

        if (!url)
                return 0;
        if (http_url_parse(url, &host, &port) < 0) {
                if (http_url_pinned(pins, url) || http_url_pinned(bucket, url))
                        abort();
        } else {
                bool pinned = strcmp(host, pins[0]) == 0 && port == 443;
                if (strncasecmp(url, "https://", 8) != 0 || !host[0] || port == 0 || strchr(host, '@'))
                        abort();
                if (http_host_pinned(pins, host, port) != pinned ||
                    http_host_pinned(bucket, host, port) != pinned || http_url_pinned(pins, url) != pinned)
                        abort();
                free(host);
                if (http_url_pinned(bucket, url)) {
                        char *path = url + 8 + strcspn(url + 8, "/?#");
                        path[strcspn(path, "?#")] = '\0';
                        if (!pinned || !careless_server_stays_in(path, "bucket"))
                                abort();
                }
        }
        free(url);
        return 0;
}
