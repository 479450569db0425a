/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cleanup.h"

/* Whether a connection string of libpq's may be used: it has no password, as configuration is for everybody
 * to read, and it leads over a Unix socket or loopback, or else to a server whose certificate and name are
 * verified. On failure *ret_error says what is wrong, never with a value. */
int conninfo_check(const char *conninfo, const char **ret_error) _must_check_;
