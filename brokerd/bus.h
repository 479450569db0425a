/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* org.streamsight.Agent1 on the system bus: docs/dbus.md. Whoever may see the bus may read; each method is a
 * polkit action. */

#include <systemd/sd-bus.h>

#include "broker.h"

#define BUS_NAME      "org.streamsight.Agent1"
#define BUS_PATH      "/org/streamsight/Agent1"
#define BUS_INTERFACE "org.streamsight.Agent1"

/* Connects to the system bus and asks for the name; once it has that, systemd is told that the service is
 * there, and if it is refused, the loop ends. Logs what is wrong. Nothing here waits for the bus, see
 * bus-authorize.h. */
int bus_new(Bus **ret, Broker *broker);
Bus *bus_free(Bus *bus);

/* The bus's connection, borrowed: for the fuzzing, which has no other for the seat. */
sd_bus *bus_connection(const Bus *bus);

/* Has the loop end with an error once this connection to the system bus is lost. Returns a negative errno of
 * sd_bus_match_signal(3). (sd_bus_set_exit_on_disconnect(3) would end it with a positive number, which is no
 * failure here, and say nothing.) */
int bus_end_without(sd_bus *bus, Broker *broker);

/* Some property may have changed: what really has is emitted at the end of this round of the loop. NULL is
 * allowed, before there is a bus. */
void bus_changed(Bus *bus);

void bus_emit_recording_started(Bus *bus, const char *recording, const char *reason);
void bus_emit_recording_stopped(Bus *bus, const char *recording, const char *reason);
void bus_emit_recording_paused(Bus *bus, const char *recording, const char *reason);
void bus_emit_recording_resumed(Bus *bus, const char *recording);
void bus_emit_upload_failed(Bus *bus, const char *recording, uint32_t sequence, const char *text);
