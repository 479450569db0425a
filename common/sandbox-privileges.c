/* SPDX-License-Identifier: Apache-2.0 */
#include <cap-ng.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox-steps.h"

#define CAPABILITIES_MAX 64

/* As units spell it: libcap-ng has it in small letters. */
static const char *capability_name(int capability) {
        return capability == CAP_SYS_ADMIN ? "CAP_SYS_ADMIN" : "";
}

/* A process may remove from its bounding set with CAP_SETPCAP alone: its unit has emptied it, or it was
 * started by hand as root. Asked one by one, since the kernel may know more than libcap-ng. */
static int drop_bounding_set(int keep, char *detail) {
        for (int capability = 0; capability < CAPABILITIES_MAX; capability++)
                if (capability != keep && prctl(PR_CAPBSET_READ, capability) == 1 &&
                    prctl(PR_CAPBSET_DROP, capability) < 0)
                        return SANDBOX_FAIL(
                                        detail, errno,
                                        "it could get capability %d: its unit needs CapabilityBoundingSet=%s",
                                        capability, capability_name(keep));
        return 0;
}

int sandbox_drop_capabilities(int keep, bool has_some, char *detail) {
        int r = drop_bounding_set(keep, detail);

        if (r < 0)
                return r;
        if (keep < 0 && !has_some)
                return 0; /* its unit gave it none, and does not let it call capset(2) */
        capng_clear(CAPNG_SELECT_ALL);
        if ((keep >= 0 && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned) keep) < 0) ||
            capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) < 0)
                return keep >= 0 ? SANDBOX_FAIL(detail, EPERM,
                                                "it lacks a capability: its unit needs AmbientCapabilities=%s",
                                                capability_name(keep))
                                 : SANDBOX_FAIL(detail, EPERM, "it cannot give up its capabilities");
        return 0;
}

int sandbox_set_limits(unsigned n_descriptors, char *detail) {
        const struct rlimit descriptors = { n_descriptors, n_descriptors };

        if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
                return SANDBOX_FAIL(detail, errno,
                                    "it cannot limit itself to %u descriptors: raise LimitNOFILE=",
                                    n_descriptors);
        return 0;
}
