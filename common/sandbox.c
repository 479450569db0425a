/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox-steps.h"

int sandbox_prepare(void) {
        static const struct rlimit none = {};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
            prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        return 0;
}

int sandbox_enter(const SandboxPolicy *policy, const SandboxReach *reach, char detail[SANDBOX_DETAIL_SIZE]) {
        SandboxState state;
        int abi, r;

        r = sandbox_check_descriptors(policy->descriptors, detail);
        if (r >= 0)
                r = sandbox_verify_begin(&state, detail);
        if (r >= 0)
                r = sandbox_drop_capabilities(policy->capability, state.has_capabilities, detail);
        if (r >= 0) {
                /* Again, since a change of credentials may make a process dumpable. */
                r = sandbox_prepare();
                if (r < 0)
                        return SANDBOX_FAIL(detail, r, "cannot forbid new privileges and core files");
                if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
                        return SANDBOX_FAIL(detail, EPERM, "the process is dumpable all the same");
                r = sandbox_set_limits(policy->n_descriptors, detail);
        }
        if (r >= 0)
                r = sandbox_landlock(reach, detail);
        abi = r;
        if (r >= 0)
                r = sandbox_filter(policy, detail);
        if (r >= 0)
                r = sandbox_verify(&state, policy, detail);
        return r < 0 ? r : abi;
}
