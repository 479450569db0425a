/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

#include "cleanup.h"

/* Asks the bus who a method's caller is, and polkit whether they may do what the method does. Root may
 * without polkit, as with systemd's own services: it could do the same without the bus.
 *
 * Neither question is waited for: sd-bus would read whatever stands before the answer into memory, and any
 * user may put there what they like. Who waits is kept as a copy of the call, its arguments bounded, and a
 * caller has few at a time. */

typedef struct BusAuthorizations BusAuthorizations;

/* Does what the method does, and answers the call or has it answered later. Its negative result, or what it
 * puts into error, becomes the answer. */
typedef int (*BusAction)(sd_bus_message *call, void *userdata, sd_bus_error *error);

int bus_authorizations_new(BusAuthorizations **ret);
BusAuthorizations *bus_authorizations_free(BusAuthorizations *authorizations);

/* For a method's handler: its result is the handler's. action is polkit's name for it, NULL: root alone may.
 * do_it is called from the loop with a copy of the call, which holds the arguments from where the message
 * stands: of basic types, a text of at most BUS_TEXT_MAX bytes. While an administrator is asked for a
 * password, the loop goes on. */
int bus_authorize(BusAuthorizations *authorizations, sd_bus_message *message, const char *action,
                  BusAction do_it, void *userdata, sd_bus_error *error);
