/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The report of diagnostics.h goes to the control plane every hour, and some minutes after a problem that is
 * new: logs are all that an administrator who is not at the machine can see of it. */

#include "broker.h"

int reports_new(Reports **ret, Broker *broker);
Reports *reports_free(Reports *reports);

/* Something has gone wrong. */
void reports_soon(Reports *reports);
/* The device is no longer enrolled. */
void reports_forget(Reports *reports);
