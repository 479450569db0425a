/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

#include "broker.h"

/* Reads agent.conf anew. What is wrong with it leaves all as it was. Its BusAction: userdata is the Broker.
 */
int reload_method(sd_bus_message *message, void *userdata, sd_bus_error *error);
