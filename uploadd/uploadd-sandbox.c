/* SPDX-License-Identifier: Apache-2.0 */
#include "uploadd-sandbox.h"

#include "http-url.h"
#include "log.h"
#include "tables.h"

#define PORTS_MAX 64U

int uploadd_sandbox_enter(const Settings *settings) {
        char detail[SANDBOX_DETAIL_SIZE];
        uint16_t ports[PORTS_MAX];
        SandboxReach reach = { .ports = ports };
        int r;

        for (char *const *pin = settings->bucket_hosts; pin && *pin; pin++) {
                if (reach.n_ports == PORTS_MAX)
                        return log_error_errno(E2BIG, "More than %u bucket hosts are pinned.", PORTS_MAX);
                r = http_pin_parse(*pin, &ports[reach.n_ports]);
                if (r < 0)
                        return log_error_errno(
                                        r,
                                        "%s: \"%s\" in Hosts= of [Bucket] is no host, host:port, or one of these with /bucket behind it.",
                                        settings->config_path, *pin);
                reach.n_ports++;
        }
        r = sandbox_enter(&sandbox_uploadd, &reach, detail);
        if (r < 0)
                return log_error_errno(r, "uploadd cannot confine itself, ending: %s. (%m)", detail);
        if (r == 0)
                log_notice("This kernel has no Landlock: uploadd is confined by its system call filter.");
        else if (r < 4)
                log_notice("This kernel's Landlock (ABI %d) does not know ports (ABI 4 does): uploadd's are "
                           "limited by its own check of the pinned hosts.",
                           r);
        return 0;
}
