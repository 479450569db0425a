/* SPDX-License-Identifier: Apache-2.0 */

#include "http-url.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "text.h"

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

/* *ret_path: what stands there, unchanged, as http-request.c sends it. */
static int parse(const char *url, char **ret_host, uint16_t *ret_port, char **ret_path) {
        _cleanup_(curlup) CURLU *parsed = NULL;
        _cleanup_(curl_stringp) char *host = NULL, *port = NULL, *path = NULL, *fragment = NULL;
        _cleanup_free_ char *host_copy = NULL, *path_copy = NULL;

        if (strnlen(url, HTTP_URL_MAX + 1) > HTTP_URL_MAX)
                return -E2BIG;
        /* curl_url() would take "https:///host" too. */
        if (strncasecmp(url, "https://", 8) != 0 || url[8] == '/' || !http_url_visible(url))
                return -EINVAL;
        if (!(parsed = curl_url()))
                return -ENOMEM;
        if (curl_url_set(parsed, CURLUPART_URL, url, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS) != CURLUE_OK ||
            curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
            curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
            curl_url_get(parsed, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
            curl_url_get(parsed, CURLUPART_FRAGMENT, &fragment, 0) != CURLUE_NO_FRAGMENT)
                return -EINVAL;
        if (host[0] == '\0' || !http_url_visible(host))
                return -EINVAL;

        unsigned long number = strtoul(port, NULL, 10);
        if (number == 0 || number > UINT16_MAX)
                return -EINVAL;
        if (!(host_copy = strdup(host)) || !(path_copy = strdup(path)))
                return -ENOMEM;
        for (char *p = host_copy; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p += 'a' - 'A';
        *ret_host = TAKE_PTR(host_copy);
        *ret_port = (uint16_t) number;
        *ret_path = TAKE_PTR(path_copy);
        return 0;
}

int http_url_parse(const char *url, char **ret_host, uint16_t *ret_port) {
        _cleanup_free_ char *path = NULL;

        return parse(url, ret_host, ret_port, &path);
}

/* "/" and what an object may be called, in a spelling that means the same to every server. */
static bool path_is_plain(const char *path) {
        if (path[0] != '/')
                return false;
        for (const char *p = path; *p; p++) {
                if (*p == '/') {
                        size_t n = strcspn(p + 1, "/");
                        if (n == 0 || (n == 1 && p[1] == '.') || (n == 2 && p[1] == '.' && p[2] == '.'))
                                return false;
                } else if (*p == '%') {
                        int c = text_percent_byte(p);
                        if (c < ' ' || c == 0x7f || strchr("./\\%;", c))
                                return false;
                        p += 2;
                } else if (!(*p >= 'A' && *p <= 'Z') && !(*p >= 'a' && *p <= 'z') &&
                           !(*p >= '0' && *p <= '9') && !strchr("-._~", *p))
                        return false;
        }
        return true;
}

/* The length of a pin's "host" or "host:port"; *ret_path is its path, without slashes at its end, and
 * *ret_size the length of that, 0 if it has none. */
static size_t pin_split(const char *pin, const char **ret_path, size_t *ret_size) {
        size_t host = strcspn(pin, "/"), size = strlen(pin) - host;

        while (size > 0 && pin[host + size - 1] == '/')
                size--;
        *ret_path = pin + host;
        *ret_size = size;
        return host;
}

int http_pin_parse(const char *pin, uint16_t *ret_port) {
        _cleanup_free_ char *url = NULL, *host = NULL, *path = NULL;
        const char *pin_path;
        size_t path_size;
        int r;

        size_t host_size = pin_split(pin, &pin_path, &path_size);
        if (asprintf(&url, "https://%.*s", (int) (host_size + path_size), pin) < 0)
                return -ENOMEM;
        if (strchr(url, '?'))
                return -EINVAL;
        r = parse(url, &host, ret_port, &path);
        if (r < 0)
                return r;
        return path_size == 0 || path_is_plain(path) ? 0 : -EINVAL;
}

static bool pin_has_host(const char *pin, size_t size, const char *host, uint16_t port) {
        char with_port[300];

        int n = snprintf(with_port, sizeof(with_port), "%s:%u", host, port);
        if (n < 0 || (size_t) n >= sizeof(with_port))
                return false;
        return (size == (size_t) n && strncasecmp(pin, with_port, size) == 0) ||
               (port == 443 && size == strlen(host) && strncasecmp(pin, host, size) == 0);
}

bool http_host_pinned(char *const *pins, const char *host, uint16_t port) {
        for (char *const *pin = pins; pin && *pin; pin++)
                if (pin_has_host(*pin, strcspn(*pin, "/"), host, port))
                        return true;
        return false;
}

static bool path_is_below(const char *path, const char *folder, size_t size) {
        return path_is_plain(path) && strncmp(path, folder, size) == 0 && path[size] == '/';
}

bool http_url_pinned(char *const *pins, const char *url) {
        _cleanup_free_ char *host = NULL, *path = NULL;
        uint16_t port;

        if (parse(url, &host, &port, &path) < 0)
                return false;
        for (char *const *pin = pins; pin && *pin; pin++) {
                const char *pin_path;
                size_t path_size;

                size_t host_size = pin_split(*pin, &pin_path, &path_size);
                if (pin_has_host(*pin, host_size, host, port) &&
                    (path_size == 0 || path_is_below(path, pin_path, path_size)))
                        return true;
        }
        return false;
}
