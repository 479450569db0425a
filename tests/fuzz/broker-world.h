/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What else leaves brokerd's process, in its own memory: the state directory's files, the resolver, chance.
 * All of it begins anew with each input. */

#include <stdint.h>

/* Takes what the state directory holds now for what it holds at the beginning. */
void world_keep(void);
void world_begin(void);

/* An id that somebody has said: chance will not make it, as it never would. */
void world_id_said(const uint8_t id[static 16]);

/* How many addresses a name has from now on, and after how long (ms) that is known. */
void world_set_addresses(unsigned n, unsigned delay);
