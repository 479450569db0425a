/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* getaddrinfo(3), which blocks, in a thread of its own: for the bucket's host, whose addresses uploadd
 * cannot look up itself. */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "wire.h"

typedef struct Resolve Resolve;

/* Called once from the event loop: n_addresses of at most WIRE_ADDRESSES_MAX; or none, and text says why. */
typedef void (*ResolveDone)(Resolve *resolve, const struct wire_address *addresses, size_t n_addresses,
                            const char *text, void *userdata);

/* host may be an address; an IPv6 one in brackets. -EBUSY: too many are waiting for a resolver that does not
 * answer. */
int resolve_new(Resolve **ret, sd_event *event, const char *host, ResolveDone done, void *userdata);

/* Not called back any more; the thread ends by itself. Returns NULL. */
Resolve *resolve_free(Resolve *resolve);
