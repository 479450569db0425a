/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

/* org.freedesktop.LogControl1(5), for "systemctl service-log-level". Only root may change the level. */
int bus_log_control_add(sd_bus *bus);
