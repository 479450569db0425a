/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which tiles change fast, so that they may be sent coarsely for a while, and which are shown coarsely, so
 * that they are sent again in full once they are still. What is noted of a frame counts when it is kept. */

#include "cleanup.h"
#include "segment.h"

typedef struct Refine Refine;

/* -ENOMEM. */
int refine_new(Refine **ret, uint32_t width, uint32_t height);
Refine *refine_free(Refine *refine);
DEFINE_CLEANUP(Refine *, refine_freep, refine_free)

/* A frame begins, whose moves (which read the picture before) carry coarse tiles with them. Adds to left, a
 * byte a tile, those that were coarse and still for long enough. changed: likewise, tiles of this frame. */
void refine_begin(Refine *refine, const SegmentMove *moves, uint32_t n_moves, const uint8_t *changed,
                  uint8_t *left);

/* Whether any tile is shown coarsely. */
bool refine_any(const Refine *refine);

/* Whether a tile has changed in most of the last frames. */
bool refine_fast(const Refine *refine, uint32_t tile);

/* A tile is sent with this frame. */
void refine_sent(Refine *refine, uint32_t tile, bool coarse);

/* The frame is kept: changed are its tiles. */
void refine_keep(Refine *refine, const uint8_t *changed);
