/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Each finished segment on its way: presigned by the control plane, its bucket's host resolved, uploaded by
 * uploadd, completed at the control plane, released. Any step may be repeated, after any restart, as uploadd
 * announces everything anew that was not released. */

#include "broker.h"
#include "wire.h"

int uploads_new(Uploads **ret, Broker *broker);
Uploads *uploads_free(Uploads *uploads);

/* What uploadd says. -EBADMSG: it is not to be believed. */
int uploads_segment_ready(Uploads *uploads, const struct wire_broker_segment_ready *ready);
void uploads_uploaded(Uploads *uploads, sd_id128_t recording, uint32_t sequence);
void uploads_failed(Uploads *uploads, sd_id128_t recording, uint32_t sequence, int error, const char *text);

/* Everything is announced again when it is back. */
void uploads_disconnected(Uploads *uploads);

/* Something they waited for may have happened. */
void uploads_kick(Uploads *uploads);
/* And those that wait after a failure need not wait any longer. */
void uploads_retry_now(Uploads *uploads);
