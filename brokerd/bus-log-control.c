/* SPDX-License-Identifier: Apache-2.0 */

#include "bus-log-control.h"

#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"

/* sd-daemon's names for the levels of syslog(3). */
static const char *const levels[] = {
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"
};
static int level = LOG_INFO;

static int get_level(sd_bus *bus _unused_, const char *path _unused_, const char *interface _unused_,
                     const char *property _unused_, sd_bus_message *reply, void *userdata _unused_,
                     sd_bus_error *error _unused_) {
        return sd_bus_message_append(reply, "s", levels[level]);
}

static int set_level(sd_bus *bus _unused_, const char *path _unused_, const char *interface _unused_,
                     const char *property _unused_, sd_bus_message *value, void *userdata _unused_,
                     sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read(value, "s", &name);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (strcmp(levels[i], name) == 0) {
                        level = (int) i;
                        log_set_max_level(level);
                        return 0;
                }
        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "The log level is one of emerg … debug.");
}

static int get_target(sd_bus *bus _unused_, const char *path _unused_, const char *interface _unused_,
                      const char *property, sd_bus_message *reply, void *userdata _unused_,
                      sd_bus_error *error _unused_) {
        bool identifier = strcmp(property, "SyslogIdentifier") == 0;

        return sd_bus_message_append(reply, "s", identifier ? "streamsight-brokerd" : "journal-or-kmsg");
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, 0),
        SD_BUS_PROPERTY("LogTarget", "s", get_target, 0, 0),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_target, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

int bus_log_control_add(sd_bus *bus) {
        return sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/LogControl1",
                                        "org.freedesktop.LogControl1", vtable, NULL);
}
