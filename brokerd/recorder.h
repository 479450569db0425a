/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether to record now: policy ∩ limits, and what somebody asked for over D-Bus. A recording is begun and
 * ended here; capd gets its grants from the moment it begins to the moment it ends, and no longer. */

#include "broker.h"

int recorder_new(Recorder **ret, Broker *broker);
Recorder *recorder_free(Recorder *recorder);

/* Something it depends on has changed: the policy, uploadd, the enrolment. */
void recorder_evaluate(Recorder *recorder);

/* 0, or -EPERM: neither the policy nor agent.conf allows it at all; *ret_why says which (a constant). */
int recorder_start(Recorder *recorder, const char **ret_why);
/* Until recorder_start() or a restart of the process. */
void recorder_stop(Recorder *recorder);

/* The process ends, and with it the recording. */
void recorder_shutdown(Recorder *recorder);

bool recorder_active(const Recorder *recorder);
uint64_t recorder_since(const Recorder *recorder);     /* µs of CLOCK_REALTIME, 0 = not recording */
const char *recorder_reason(const Recorder *recorder); /* "policy", "manual", "" */
sd_id128_t recorder_id(const Recorder *recorder);
