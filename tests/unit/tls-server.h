/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A small HTTPS server in a thread, for tests of the client. It answers by path:
 *   /echo      200, the request's head and the length of its body
 *   /redirect  302 to /echo        /retry  503 with Retry-After: 7 and an ETag
 *   /large     200 with 300 KiB    /silent no answer        /close  closes without one
 */

#include <stdint.h>

typedef struct TlsServer TlsServer;

/* Listens on 127.0.0.1 with a self-signed certificate for the name "bucket.test" and the address 127.0.0.1,
 * which is written to certificate_path. max_version is of OpenSSL (TLS1_1_VERSION), 0 for the newest. */
TlsServer *tls_server_start(const char *certificate_path, int max_version, uint16_t *ret_port);
unsigned tls_server_connections(const TlsServer *server);
void tls_server_stop(TlsServer *server);
