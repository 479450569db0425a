/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

#include "cleanup.h"

/* Asks polkit whether a method's caller may do what the method does. Root may without being asked about, as
 * with systemd's own services: it could do the same without the bus. */

typedef struct BusAuthorizations BusAuthorizations;

/* Does what the method does, and answers the message or has it answered later. Its negative result, or what
 * it puts into error, becomes the answer. */
typedef int (*BusAction)(sd_bus_message *message, void *userdata, sd_bus_error *error);

int bus_authorizations_new(BusAuthorizations **ret);
BusAuthorizations *bus_authorizations_free(BusAuthorizations *authorizations);

/* For a method's handler: its result is the handler's. action is polkit's name for it; do_it is called at
 * once, or when polkit has allowed it. While an administrator is asked for a password, the loop goes on. */
int bus_authorize(BusAuthorizations *authorizations, sd_bus_message *message, const char *action,
                  BusAction do_it, void *userdata, sd_bus_error *error);
