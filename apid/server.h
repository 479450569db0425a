/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The HTTP/1.1 server: libmicrohttpd with a pool of threads, each of which answers its connections' requests
 * one after the other. Plain HTTP, hence on loopback or a Unix socket only; TLS is the gateway's. */

#include "request.h"

typedef struct Server Server;

/* Begins to listen where context's settings say; context must outlive the server. Block SIGTERM and SIGINT
 * before, so that the threads leave them to the caller. -EINVAL: the address is malformed; -EPERM: it is not
 * loopback; or what bind(2) says. */
int server_new(Server **ret, const Context *context) _must_check_;

/* Stops accepting, answers what was sent (with "Connection: close"), for a few seconds at most, and ends. */
Server *server_drain(Server *server);

/* Ends at once. */
Server *server_free(Server *server);
DEFINE_CLEANUP(Server *, server_freep, server_free)
