/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who has seat0, the seat whose displays are recorded, as logind knows it (org.freedesktop.login1(5)); told
 * to uploadd whenever it changes. Where there is no logind, nobody has it. */

#include <systemd/sd-bus.h>

#include "broker.h"
#include "wire.h"

/* Watches over bus, which it refers to. Logs what is wrong. */
int seat_new(Seat **ret, Broker *broker, sd_bus *bus);
Seat *seat_free(Seat *seat);

/* As known now; false: not yet. */
bool seat_known(const Seat *seat);
/* Its active session says that it is locked (LockedHint, which its desktop sets). */
bool seat_locked(const Seat *seat);
bool seat_get(const Seat *seat, struct wire_broker_session *ret);
