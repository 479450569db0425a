/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* broker.sock: brokerd says what to record and where to put it, and is told what came of it. When it goes
 * away the recording ends; what is finished is kept and announced again. */

#include "uploadd.h"

int broker_new(Broker **ret, Uploadd *uploadd);
Broker *broker_free(Broker *broker);

bool broker_connected(const Broker *broker);

/* Announces a finished segment. */
void broker_announce(Broker *broker, const Segment *segment);

/* STATS are sent soon. */
void broker_changed(Broker *broker);

/* Another frame: STATS are sent some seconds later. */
void broker_counted(Broker *broker);
