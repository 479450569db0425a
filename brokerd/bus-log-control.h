/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bus-authorize.h"

/* org.freedesktop.LogControl1(5), for "systemctl service-log-level". Only root may change the level. */
int bus_log_control_add(sd_bus *bus, BusAuthorizations *authorizations);
