/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

#include "broker.h"

/* Every property of the interface: by its D-Bus type either a string ("s") or a number ("b", "u", "t"), or
 * neither, which is Outputs. docs/dbus.md says what each means. */
typedef struct BusProperty {
        const char *name, *signature;
        const char *(*string)(const Broker *broker);
        uint64_t (*number)(const Broker *broker);
} BusProperty;

#define BUS_PROPERTIES 18

extern const BusProperty bus_properties[BUS_PROPERTIES];

#define BUS_OUTPUTS_SIGNATURE "a(usuu)"

/* sd_bus_property_get_t, for all of them; userdata is the Broker. */
int bus_property_get(sd_bus *bus, const char *path, const char *interface, const char *name,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error);

/* The property's value as text, which differs when the value does; the caller's. -ENOMEM. */
int bus_property_print(const BusProperty *property, const Broker *broker, char **ret);
