/* SPDX-License-Identifier: Apache-2.0 */

#include "bus-guard.h"

#include <stdbool.h>
#include <string.h>

#include "cleanup.h"

#define ANSWERS_MAX 1024U /* of a few kilobytes each */

int bus_guard_too_long(sd_bus_error *error) {
        return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                 "No path or text here has more than %d bytes.", BUS_TEXT_MAX);
}

/* dbus-daemon takes nothing more from whom so much is unread by others, 127 MiB. */
static bool bus_is_stuck(sd_bus *bus) {
        uint64_t n = 0;

        return sd_bus_get_n_queued_write(bus, &n) >= 0 && n > ANSWERS_MAX;
}

static int on_message(sd_bus_message *message, void *userdata _unused_, sd_bus_error *error) {
        const char *text = sd_bus_message_get_path(message);
        char type;

        if (!sd_bus_message_is_method_call(message, NULL, NULL))
                return 0;
        if (bus_is_stuck(sd_bus_message_get_bus(message)))
                return 1; /* unanswered */
        do
                if (strlen(text) > BUS_TEXT_MAX)
                        return bus_guard_too_long(error);
        while (sd_bus_message_peek_type(message, &type, NULL) > 0 && type == 's' &&
               sd_bus_message_read_basic(message, 's', &text) > 0);
        return 0;
}

int bus_guard_add(sd_bus *bus) {
        return sd_bus_add_filter(bus, NULL, on_message, NULL);
}
