/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* brokerd gives up everything but what policy/sandbox/brokerd.c lists, and of paths and ports what is listed
 * here in brokerd-sandbox.c. Call when everything but its state is open, and before any thread. Logs what is
 * wrong; brokerd must not go on then. */

#include "settings.h"

int brokerd_sandbox_enter(const Settings *settings) _must_check_;
