/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What capd has given up by the time it serves:
 *
 *   1. every capability but CAP_SYS_ADMIN, and any way to get one (no_new_privs, bounding set)
 *   2. being read: no core file, no ptrace by its own user
 *   3. every system call that serving does not need: no open, exec, fork or network
 *   4. every ioctl but those of policy/sandbox/capd-ioctls.h, by exact number
 *
 * Each function logs what is wrong and returns a negative errno, after which capd must not go on. */

#include "cleanup.h"

/* Promises 1 and 2. */
int sandbox_drop_privileges(void) _must_check_;

/* Promises 3 and 4: whoever breaks one is killed (SIGSYS, and the audit log says what it was). */
int sandbox_filter(void) _must_check_;
