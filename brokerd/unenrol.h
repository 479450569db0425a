/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

#include "broker.h"

/* Leaves the organisation: the recording ends, the control plane is told if it can be, and key, id and what
 * was still to be told are forgotten, also if it cannot. Its BusAction: userdata is the Broker. */
int unenrol_method(sd_bus_message *message, void *userdata, sd_bus_error *error);

void unenrol_cancel(Broker *broker);
