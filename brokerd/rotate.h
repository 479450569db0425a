/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

#include "broker.h"

/* Another key in place of the device's. Both are on disk until the control plane has said which it takes:
 * after a crash or a lost answer, whichever of the two is refused gives way to the other. */

/* Its BusAction: userdata is the Broker. */
int rotate_method(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* What came of asking for a token: ApiTokenAnswered. True: the other key is in force now, ask again. */
bool rotate_token_answered(bool refused, void *userdata);

void rotate_cancel(Broker *broker);
