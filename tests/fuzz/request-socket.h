/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* apid's server in this process, and requests to it over its own socket. */

#include <stddef.h>

#include "request.h"

/* Starts it, once, on a socket that is reached without a name, so that none is left behind. context must
 * last. */
void request_server_start(Context *context);

/* Sends a request and returns, with a NUL behind it, what is said until the connection ends or nothing has
 * been said for quiet_ms (-1: however long that takes). It is good until the next call. */
const char *request_exchange(const char *request, size_t size, int quiet_ms, size_t *ret_size);
