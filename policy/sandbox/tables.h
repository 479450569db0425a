/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What each process may still do once it has started: capd.c, uploadd.c and brokerd.c, one table each, and
 * common.c, which is part of all three. The promises that follow from them are in promises.h. */

#include "sandbox.h"

extern const SandboxPolicy sandbox_capd, sandbox_uploadd, sandbox_brokerd;

extern const SandboxCall sandbox_common_calls[];
