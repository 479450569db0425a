/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the control plane is told of each recording: that it exists, and how it ended. Both are tried until
 * they succeed; both may be repeated. A recording of an earlier life of this process, whose segments uploadd
 * still holds, is told of from what uploadd says about it. */

#include "broker.h"

int recordings_new(Recordings **ret, Broker *broker);
Recordings *recordings_free(Recordings *recordings);

/* What an earlier life of this process has not seen the end of. Of an earlier boot, it ends as interrupted;
 * else *ret_uploadd is the uploadd that holds it. -EBADMSG: the file is damaged. */
int recordings_load(Recordings *recordings, pid_t *ret_uploadd);

/* The device is no longer enrolled: nothing is told any more. */
void recordings_forget(Recordings *recordings);

int recordings_begin(Recordings *recordings, sd_id128_t id, uint64_t started, const char *reason);
/* It did not begin after all. */
void recordings_void(Recordings *recordings, sd_id128_t id);
/* Its outputs are told with it, once they are known. */
void recordings_outputs_known(Recordings *recordings);
void recordings_stopped(Recordings *recordings, sd_id128_t id);
/* uploadd says that every segment of it was released. -EBADMSG: it has said another number before; -ENOBUFS:
 * of too many that this process does not know. */
int recordings_finished(Recordings *recordings, sd_id128_t id, uint32_t n_segments);
/* uploadd has lost what it had: those not finished end with what has arrived. */
void recordings_abandon(Recordings *recordings);

/* 1: the control plane knows it, segments may be presigned. 0: it is being told; uploads_kick() follows. */
int recordings_prepare(Recordings *recordings, sd_id128_t id, uint64_t started);
/* The control plane does not know it after all (it was restored from a backup, say). */
void recordings_forgotten(Recordings *recordings, sd_id128_t id);
/* A segment of it is complete. */
void recordings_completed(Recordings *recordings, sd_id128_t id, uint32_t sequence, uint64_t ended);
