/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A report for whoever looks for a fault: versions, state, counters, which kinds of problem there were and
 * when. No text from elsewhere, no name, no address, no secret, nothing of the picture. */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "broker.h"

/* NULL: out of memory. */
json_t *diagnostics_report(const Broker *broker);

/* The report through a pipe. Its BusAction: userdata is the Broker. */
int diagnostics_method(sd_bus_message *message, void *userdata, sd_bus_error *error);
