/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keeps the control plane's policy: asked for at once, then about once a minute by ETag. */

#include "broker.h"

int policy_sync_new(PolicySync **ret, Broker *broker);
PolicySync *policy_sync_free(PolicySync *sync);

/* Asks now, if the device is enrolled. */
void policy_sync_now(PolicySync *sync);

/* The last policy understood, NULL if none. It stays while the control plane cannot be reached. */
/* Knows of none any more. */
void policy_sync_forget(PolicySync *sync);
const CapturePolicy *policy_sync_get(const PolicySync *sync);
