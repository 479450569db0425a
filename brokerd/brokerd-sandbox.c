/* SPDX-License-Identifier: Apache-2.0 */
#include "brokerd-sandbox.h"

#include <ctype.h>
#include <dlfcn.h>
#include <libgen.h>
#include <string.h>

#include "http-url.h"
#include "log.h"
#include "tables.h"

#define DNS_PORT 53

/* nsswitch.conf(5) names the modules that resolve host names. They are code, which cannot be loaded later.
 */
static void load_resolver(void) {
        _cleanup_fclose_ FILE *file = fopen("/etc/nsswitch.conf", "re");
        char line[512];

        while (file && fgets(line, sizeof(line), file)) {
                char *rest = line, *word;

                if (strncmp(line, "hosts:", strlen("hosts:")) != 0)
                        continue;
                rest += strlen("hosts:");
                while ((word = strsep(&rest, " \t\n"))) {
                        char name[80];

                        if (!islower((unsigned char) word[0]))
                                continue; /* [NOTFOUND=return] */
                        snprintf(name, sizeof(name), "libnss_%s.so.2", word);
                        /* libc has "files" and "dns" built in, and brings no such library. */
                        (void) dlopen(name, RTLD_NOW | RTLD_NODELETE);
                }
        }
}

int brokerd_sandbox_enter(const Settings *settings) {
        _cleanup_free_ char *config = strdup(settings->config);
        const char *config_directory = config ? dirname(config) : NULL;
        /* Directories where files are replaced: Landlock's rules follow the file that is there now. */
        const SandboxPath paths[] = {
                { settings->state_directory, true },
                { config_directory, false },
                { "/etc", false }, /* hosts, resolv.conf, nsswitch.conf, gai.conf, machine-id */
                { "/run/systemd/resolve", false },
                { "/run/NetworkManager", false },
                { "/run/resolvconf", false },
                { "/proc/sys/kernel/random", false }, /* boot_id: sd-event spreads its timers by it */
                { "/dev/urandom", false },            /* jansson's hash seed */
        };
        SandboxReach reach = { .paths = paths, .n_paths = ELEMENTSOF(paths) };
        uint16_t ports[2] = { DNS_PORT };
        char detail[SANDBOX_DETAIL_SIZE];
        _cleanup_free_ char *host = NULL;
        int r;

        reach.ports = ports;
        reach.n_ports = 1;
        if (settings->url) {
                r = http_url_parse(settings->url, &host, &ports[1]);
                if (r < 0)
                        return log_error_errno(r, "Cannot read the control plane's URL: %m");
                reach.n_ports++;
        }
        if (!config)
                return log_error_errno(ENOMEM, "brokerd cannot confine itself, ending: %m");
        load_resolver();
        r = sandbox_enter(&sandbox_brokerd, &reach, detail);
        if (r < 0)
                return log_error_errno(r, "brokerd cannot confine itself, ending: %s. (%m)", detail);
        if (r < 4)
                log_notice("This kernel's Landlock (ABI %d) does not limit %s.", r,
                           r == 0 ? "paths and ports" : "ports");
        return 0;
}
