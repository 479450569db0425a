/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finds rectangles of the picture before that are shown elsewhere now: windows scroll up and down, text
 * scrolls sideways, windows are dragged. A move is exact or it is not made.
 *
 * Three steps. Vote: hashes of short pieces of rows are looked up among those of the picture before; each
 * that is found once votes for its displacement. Match: for the displacements with most votes, every tile
 * concerned is compared row by row. Merge: matching rows become rectangles, first of whole tiles' width,
 * then widened by the pixel; the tiles that they touch are compared once more with what a decoder will then
 * have. */

#include "cleanup.h"
#include "picture.h"

typedef struct Motion Motion;

/* Memory for pictures of a size. -ENOMEM. */
int motion_new(Motion **ret, uint32_t width, uint32_t height);
Motion *motion_free(Motion *motion);
DEFINE_CLEANUP(Motion *, motion_freep, motion_free)

/* changed: a byte for each tile of now, non-zero if it differs from before; on return also differing from
 * before after the moves, which all read the picture before. A tile outside what was changed is only touched
 * if a move makes it no worse or it is marked as changed. Returns the number of moves, at most
 * SEGMENT_MOVES_MAX; later ones draw over earlier ones. */
uint32_t motion_find(Motion *motion, const Picture *before, const Picture *now, uint8_t *changed,
                     SegmentMove *ret_moves);
