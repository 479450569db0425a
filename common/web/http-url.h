/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading an https URL once, with the same parser that later connects (curl_url(3)), and comparing where it
 * leads with the hosts that an administrator pinned. */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"

#define HTTP_URL_MAX 8192U

/* *ret_host is lower-case, an IPv6 address in brackets, to be freed by the caller; *ret_port is 443 unless
 * the URL names one. -EINVAL: not an https URL of visible ASCII without user name, password and fragment;
 * -E2BIG: longer than HTTP_URL_MAX. */
int http_url_parse(const char *url, char **ret_host, uint16_t *ret_port);

/* Whether one of pins (NULL-terminated, may be NULL), "host" for port 443 or "host:port", is exactly this
 * host and port; case is ignored. */
bool http_host_pinned(char *const *pins, const char *host, uint16_t port);
