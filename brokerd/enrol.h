/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

#include "broker.h"

/* Enrolment: one at a time. A new key is made durable first, so that asking again with the same code after a
 * lost answer succeeds. */

/* The caller of the D-Bus method is answered when the control plane has. Its BusAction: userdata is the
 * Broker. */
int enrol_method(sd_bus_message *message, void *userdata, sd_bus_error *error);

void enrol_cancel(Broker *broker);
