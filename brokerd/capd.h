/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The client of capd's control.sock: keeps a grant alive for as long as there is to be one. Each grant is
 * good for half a minute and renewed every ten seconds, so that capture ends by itself if this process dies.
 */

#include "broker.h"

int capd_new(Capd **ret, Broker *broker);
Capd *capd_free(Capd *capd);

/* Grants all outputs at this rate from now on, connecting (which starts capd) if need be. */
void capd_grant(Capd *capd, uint32_t frames_per_second);
void capd_revoke(Capd *capd);

/* Whether a grant is to be kept alive, and was not for longer than it may take, plus patience (µs). */
bool capd_stuck(const Capd *capd, uint64_t patience);

/* Displays (or, cards: graphics cards) came or went: capd is to look again. If it is not connected, it is
 * told of cards when it is. */
void capd_rescan(Capd *capd, bool cards);
