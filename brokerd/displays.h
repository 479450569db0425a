/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Listens to udev for displays and graphics cards that come and go, and tells capd, which has no network
 * namespace to hear uevents in. */

#include "broker.h"

typedef struct Displays Displays;

/* Logs and goes on without them if this cannot be: capd then learns of a display within seconds, since
 * uploadd asks for the outputs, and of a card when it is started anew. */
void displays_new(Displays **ret, Broker *broker);
Displays *displays_free(Displays *displays);
