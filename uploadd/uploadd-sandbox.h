/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* uploadd gives up everything but what policy/sandbox/uploadd.c lists and the ports of the pinned buckets.
 * Call when everything that is needed is open. Logs what is wrong; uploadd must not go on then. */

#include "settings.h"

int uploadd_sandbox_enter(const Settings *settings) _must_check_;
