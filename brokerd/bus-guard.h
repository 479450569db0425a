/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

/* What any user may send is looked at here before sd-bus does: it answers a call with the path or interface
 * that it does not know, however long, looks each parent of a path up, and keeps every answer until the bus
 * takes it. */

/* Bytes: the longest name of the D-Bus specification. No code or level is longer. */
#define BUS_TEXT_MAX 255

int bus_guard_add(sd_bus *bus);

/* For a handler: its result. */
int bus_guard_too_long(sd_bus_error *error);
