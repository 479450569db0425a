/* SPDX-License-Identifier: Apache-2.0 */

#include "watchdog.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "cleanup.h"
#include "log.h"
#include "notify.h"

typedef struct Watchdog {
        uint64_t patience;
        WatchdogStuck stuck;
        void *userdata;
        const char *starving_for; /* NULL: it is fed */
} Watchdog;

static int watchdog_on_time(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        Watchdog *watchdog = userdata;
        const char *what = watchdog->stuck(watchdog->patience, watchdog->userdata);
        int r;

        if (!what)
                notify("WATCHDOG=1");
        else if (!watchdog->starving_for || strcmp(watchdog->starving_for, what) != 0)
                log_error("The watchdog is not fed any more: %s.", what);
        watchdog->starving_for = what;
        r = sd_event_source_set_time_relative(source, watchdog->patience / 4);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int watchdog_start(sd_event *event, WatchdogStuck stuck, void *userdata) {
        _cleanup_(sd_event_source_unrefp) sd_event_source *source = NULL;
        Watchdog *watchdog;
        uint64_t patience;
        int r;

        r = sd_watchdog_enabled(false, &patience);
        if (r <= 0)
                return r;
        watchdog = calloc(1, sizeof(*watchdog));
        if (!watchdog)
                return -ENOMEM;
        *watchdog = (Watchdog){ .patience = patience, .stuck = stuck, .userdata = userdata };
        /* With slack, so that it comes together with other timers. */
        r = sd_event_add_time_relative(event, &source, CLOCK_MONOTONIC, patience / 4, patience / 8,
                                       watchdog_on_time, watchdog);
        if (r < 0) {
                free(watchdog);
                return r;
        }
        r = sd_event_source_set_destroy_callback(source, free);
        return r < 0 ? r : sd_event_source_set_floating(source, true);
}
