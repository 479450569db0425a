/* SPDX-License-Identifier: Apache-2.0 */

#include "bus-log-control.h"

#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"

#define PATH      "/org/freedesktop/LogControl1"
#define INTERFACE "org.freedesktop.LogControl1"

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

static int set_level(sd_bus_message *call, void *userdata _unused_, sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read(call, "s", &name);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (strcmp(levels[i], name) == 0) {
                        level = (int) i;
                        log_set_max_level(level);
                        return sd_bus_reply_method_return(call, "");
                }
        return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "The log level is one of emerg … debug.");
}

/* Comes before sd-bus's own way to set a property, which would wait for the bus to say who calls. */
static int on_call(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const char *interface, *property;
        int r;

        if (!sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "Set") ||
            sd_bus_message_read(message, "ss", &interface, &property) < 0 ||
            strcmp(interface, INTERFACE) != 0 || strcmp(property, "LogLevel") != 0)
                return 0;
        r = sd_bus_message_enter_container(message, 'v', "s");
        return r < 0 ? r : bus_authorize(userdata, message, NULL, set_level, NULL, error);
}

static int set_never(sd_bus *bus _unused_, const char *path _unused_, const char *interface _unused_,
                     const char *property _unused_, sd_bus_message *value _unused_, void *userdata _unused_,
                     sd_bus_error *error _unused_) {
        return -EACCES;
}

static int get_target(sd_bus *bus _unused_, const char *path _unused_, const char *interface _unused_,
                      const char *property, sd_bus_message *reply, void *userdata _unused_,
                      sd_bus_error *error _unused_) {
        bool identifier = strcmp(property, "SyslogIdentifier") == 0;

        return sd_bus_message_append(reply, "s", identifier ? "streamsight-brokerd" : "journal-or-kmsg");
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_never, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("LogTarget", "s", get_target, 0, 0),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_target, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

int bus_log_control_add(sd_bus *bus, BusAuthorizations *authorizations) {
        int r;

        r = sd_bus_add_object(bus, NULL, PATH, on_call, authorizations);
        return r < 0 ? r : sd_bus_add_object_vtable(bus, NULL, PATH, INTERFACE, vtable, NULL);
}
