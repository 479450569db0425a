/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading an https URL with the same parser that later connects (curl_url(3)), and comparing where it leads
 * with what an administrator pinned. */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"

#define HTTP_URL_MAX 8192U

/* *ret_host is lower-case, an IPv6 address in brackets, to be freed by the caller; *ret_port is 443 unless
 * the URL names one. -EINVAL: not an https URL of visible ASCII without user name, password and fragment;
 * -E2BIG: longer than HTTP_URL_MAX. */
int http_url_parse(const char *url, char **ret_host, uint16_t *ret_port);

/* A pin is where an administrator lets recordings go: "host" for port 443 or "host:port", and behind it
 * "/path" where not all that is on this host is meant, such as the bucket's name (and the prefix in it). */

/* What is to be reached for a pin: *ret_port. -EINVAL: it is none. */
int http_pin_parse(const char *pin, uint16_t *ret_port);

/* Whether one of pins (NULL-terminated, may be NULL) is on this host and port; the case of names is ignored.
 */
bool http_host_pinned(char *const *pins, const char *host, uint16_t port);

/* Whether url leads to what one of pins names: for one with a path to something below it, by a path that no
 * server could take for another (RFC 3986, 6.2.2): none with a segment that is empty, "." or "..", and
 * percent encoding of what needs it alone, but of no ".", "/", "\", "%", ";" or control character. */
bool http_url_pinned(char *const *pins, const char *url);
