/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* capd gives up everything but what policy/sandbox/capd.c lists. Logs what is wrong; capd must not go on
 * then. */

#include "cleanup.h"

int capd_sandbox_enter(void) _must_check_;
