/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the operator's own programs ask, on an address of its own that the gateway knows nothing of: /live
 * (it answers), /ready (whether it should be sent requests) and /metrics. */

#include "request.h"

typedef struct Status Status;

/* As server_new(), at [Server] StatusListen=. */
int status_new(Status **ret, const Context *context) _must_check_;
Status *status_free(Status *status);
DEFINE_CLEANUP(Status *, status_freep, status_free)
