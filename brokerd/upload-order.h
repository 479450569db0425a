/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "identity.h"
#include "wire.h"

/* The body of POST /v1/recordings/{id}/segments, with a statement signed by identity's device. *ret: a
 * reference of the caller's. -ENOMEM; -EIO: OpenSSL failed. */
int upload_order_request(const Identity *identity, const struct wire_broker_segment_ready *ready,
                         json_t **ret) _must_check_;

/* Fills url, method-checked, and headers of *ret from its answer, and finds where the URL leads: *ret_host
 * is the caller's. -EBADMSG: it is not an order that uploadd could carry out. */
int upload_order_parse(const json_t *answer, struct wire_broker_upload *ret, char **ret_host,
                       uint16_t *ret_port);
