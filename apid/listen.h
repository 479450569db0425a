/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cleanup.h"

/* Makes the listening socket that [Server] Listen= describes: "unix:/path" (mode 0660; what a previous run
 * left there is replaced), "127.0.0.1:8080" or "[::1]:8080". The descriptor is the caller's, close-on-exec
 * and non-blocking. Call before there are threads: the umask is changed for a moment. -EINVAL: malformed;
 * -EPERM: not a loopback address; or what bind(2) says. */
int listen_open(const char *address, int *ret_fd) _must_check_;
