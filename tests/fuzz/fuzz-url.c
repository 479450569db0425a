/* SPDX-License-Identifier: Apache-2.0 */

/* Any text as a URL: what is accepted is https, without a user, and matches no pin but its own host. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"
#include "http-url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *url = strndup((const char *) data, size), *host, *pins[] = { (char *) "s3.example.org", NULL };
        uint16_t port;

        if (url && http_url_parse(url, &host, &port) >= 0) {
                if (strncasecmp(url, "https://", 8) != 0 || !host[0] || port == 0 || strchr(host, '@'))
                        abort();
                if (http_host_pinned(pins, host, port) != (strcmp(host, pins[0]) == 0 && port == 443))
                        abort();
                free(host);
        }
        free(url);
        return 0;
}
