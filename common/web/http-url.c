/* SPDX-License-Identifier: Apache-2.0 */

#include "http-url.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

DEFINE_CLEANUP(CURLU *, curlup, curl_url_cleanup)

static void curl_stringp(char **string) {
        curl_free(*string);
}

static bool http_url_visible(const char *url) {
        for (const char *p = url; *p; p++)
                if (*p <= ' ' || *p >= 0x7f || *p == '\\' || *p == '"')
                        return false;
        return true;
}

int http_url_parse(const char *url, char **ret_host, uint16_t *ret_port) {
        _cleanup_(curlup) CURLU *parsed = NULL;
        _cleanup_(curl_stringp) char *host = NULL, *port = NULL, *fragment = NULL;
        _cleanup_free_ char *copy = NULL;

        if (strnlen(url, HTTP_URL_MAX + 1) > HTTP_URL_MAX)
                return -E2BIG;
        /* curl_url() would take "https:///host" too. */
        if (strncasecmp(url, "https://", 8) != 0 || url[8] == '/' || !http_url_visible(url))
                return -EINVAL;
        if (!(parsed = curl_url()))
                return -ENOMEM;
        if (curl_url_set(parsed, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK ||
            curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
            curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
            curl_url_get(parsed, CURLUPART_FRAGMENT, &fragment, 0) != CURLUE_NO_FRAGMENT)
                return -EINVAL;
        if (host[0] == '\0' || !http_url_visible(host))
                return -EINVAL;

        unsigned long number = strtoul(port, NULL, 10);
        if (number == 0 || number > UINT16_MAX)
                return -EINVAL;
        if (!(copy = strdup(host)))
                return -ENOMEM;
        for (char *p = copy; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p += 'a' - 'A';
        *ret_host = TAKE_PTR(copy);
        *ret_port = (uint16_t) number;
        return 0;
}

bool http_host_pinned(char *const *pins, const char *host, uint16_t port) {
        char with_port[300];

        int n = snprintf(with_port, sizeof(with_port), "%s:%u", host, port);
        if (n < 0 || (size_t) n >= sizeof(with_port))
                return false;
        for (char *const *pin = pins; pin && *pin; pin++)
                if (strcasecmp(*pin, with_port) == 0 || (port == 443 && strcasecmp(*pin, host) == 0))
                        return true;
        return false;
}
