/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The steps of sandbox_enter(), in their order. Each returns a negative errno with its reason in detail. */

#include "sandbox.h"

#define SANDBOX_FAIL(detail, error, ...) (snprintf((detail), SANDBOX_DETAIL_SIZE, __VA_ARGS__), -abs(error))

/* sandbox-descriptors.c: nothing is open that the policy does not name. */
int sandbox_check_descriptors(const SandboxDescriptor *allowed, char *detail);

/* sandbox-privileges.c */
int sandbox_drop_capabilities(int keep, bool has_some, char *detail);
int sandbox_set_limits(unsigned n_descriptors, char *detail);

/* sandbox-landlock.c: returns the ABI, 0: the kernel has none. */
int sandbox_landlock(const SandboxReach *reach, char *detail);

/* sandbox-filter.c */
int sandbox_filter(const SandboxPolicy *policy, char *detail);

/* sandbox-verify.c: /proc/self is opened while that is possible, and read when all is done. */
typedef struct SandboxState {
        int status_fd, limits_fd;
        unsigned n_filters;    /* before this one */
        bool has_capabilities; /* of any kind but in the bounding set */
} SandboxState;

int sandbox_verify_begin(SandboxState *state, char *detail);
int sandbox_verify(SandboxState *state, const SandboxPolicy *policy, char *detail);
