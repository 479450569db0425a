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
