/* SPDX-License-Identifier: Apache-2.0 */
#include "capd-sandbox.h"

#include "log.h"
#include "tables.h"

int capd_sandbox_enter(void) {
        static const SandboxReach nothing = {};
        char detail[SANDBOX_DETAIL_SIZE];
        int r;

        r = sandbox_enter(&sandbox_capd, &nothing, detail);
        if (r < 0)
                return log_error_errno(r, "capd cannot confine itself, ending: %s. (%m)", detail);
        if (r == 0)
                log_notice("This kernel has no Landlock: capd is confined by its system call filter.");
        return 0;
}
