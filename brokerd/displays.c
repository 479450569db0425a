/* SPDX-License-Identifier: Apache-2.0 */

#include "displays.h"

#include <string.h>
#include <systemd/sd-device.h>

#include "capd.h"
#include "log.h"

struct Displays {
        Broker *broker;
        sd_device_monitor *monitor;
};

/* "card0": a card's primary node. Its connectors are "card0-HDMI-A-1", of which DisplayPort MST has ones
 * that come and go. */
static bool is_card(const char *name) {
        return strncmp(name, "card", 4) == 0 && name[4] && name[4 + strspn(name + 4, "0123456789")] == '\0';
}

static int displays_on_event(sd_device_monitor *monitor _unused_, sd_device *device, void *userdata) {
        Displays *displays = userdata;
        sd_device_action_t action;
        const char *name;

        if (sd_device_get_action(device, &action) < 0 || sd_device_get_sysname(device, &name) < 0)
                return 0;
        /* A display that is plugged in is a "change" of its card. */
        capd_rescan(displays->broker->capd,
                    is_card(name) && (action == SD_DEVICE_ADD || action == SD_DEVICE_REMOVE));
        return 0;
}

void displays_new(Displays **ret, Broker *broker) {
        Displays *displays = calloc(1, sizeof(*displays));
        int r = displays ? 0 : -ENOMEM;

        if (r >= 0) {
                displays->broker = broker;
                r = sd_device_monitor_new(&displays->monitor);
        }
        if (r >= 0)
                r = sd_device_monitor_filter_add_match_subsystem_devtype(displays->monitor, "drm", NULL);
        if (r >= 0)
                r = sd_device_monitor_attach_event(displays->monitor, broker->event);
        if (r >= 0)
                r = sd_device_monitor_start(displays->monitor, displays_on_event, displays);
        if (r < 0) {
                log_warning_errno(
                                r,
                                "Cannot listen to udev: a graphics card that is added will not be noticed: %m");
                displays = displays_free(displays);
        }
        *ret = displays;
}

Displays *displays_free(Displays *displays) {
        if (!displays)
                return NULL;
        sd_device_monitor_unref(displays->monitor);
        free(displays);
        return NULL;
}
