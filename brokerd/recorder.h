/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether to record now: policy ∩ limits, and what somebody asked for over D-Bus. A recording is begun and
 * ended here, and followed by another after a day or when the workstation becomes somebody else's; capd gets
 * its grants from the moment it begins to the moment it ends, and none while it is paused or the session at
 * the seat is locked. */

#include "broker.h"

int recorder_new(Recorder **ret, Broker *broker);
Recorder *recorder_free(Recorder *recorder);

/* Something it depends on has changed: the policy, uploadd, the enrolment. */
void recorder_evaluate(Recorder *recorder);

/* 0, or -EPERM: neither the policy nor agent.conf allows it at all; *ret_why says which (a constant). */
int recorder_start(Recorder *recorder, const char **ret_why);
/* Until recorder_start() or a restart of the process. */
void recorder_stop(Recorder *recorder);

/* Takes no pictures for so many seconds, 0: for as long as is allowed; the recording stays open. -ESRCH:
 * there is none. -EPERM: longer than recorder_pause_max(). A restart of the process ends it. */
int recorder_pause(Recorder *recorder, uint32_t seconds);
void recorder_resume(Recorder *recorder);
uint32_t recorder_pause_max(const Recorder *recorder); /* seconds, 0: nobody may */

/* The device is no longer enrolled: what a person asked for goes with it. */
void recorder_forget(Recorder *recorder);

/* The process ends, and with it the recording. */
void recorder_shutdown(Recorder *recorder);

bool recorder_active(const Recorder *recorder);
uint64_t recorder_since(const Recorder *recorder);        /* µs of CLOCK_REALTIME, 0 = not recording */
const char *recorder_reason(const Recorder *recorder);    /* "policy", "manual", "" */
const char *recorder_paused(const Recorder *recorder);    /* "paused", "locked", "" */
uint64_t recorder_paused_until(const Recorder *recorder); /* µs of CLOCK_REALTIME, 0: nobody paused it */
sd_id128_t recorder_id(const Recorder *recorder);
