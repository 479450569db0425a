/* SPDX-License-Identifier: Apache-2.0 */
#include "refine.h"

#include <stdlib.h>
#include <string.h>

#define FAST_STEP 2U /* a change adds it, a frame without one takes one away … */
#define FAST_MIN  4U /* … so this is two changes in a row at least, or more of them with pauses */
#define FAST_MAX  8U
#define STILL_MIN 2U /* frames without a change before one is sent again */

struct Refine {
        uint32_t tiles_across, n_tiles;
        uint32_t n_coarse;      /* of coarse */
        uint8_t *coarse, *next; /* a byte a tile: shown coarsely, as kept and after this frame */
        uint8_t *speed, *still; /* likewise: how fast it changes, frames since it did */
};

int refine_new(Refine **ret, uint32_t width, uint32_t height) {
        _cleanup_(refine_freep) Refine *refine = calloc(1, sizeof(*refine));

        if (!refine)
                return -ENOMEM;
        refine->tiles_across = segment_tiles_across(width);
        refine->n_tiles = refine->tiles_across * segment_tiles_down(height);
        refine->coarse = calloc(refine->n_tiles, 1);
        refine->next = calloc(refine->n_tiles, 1);
        refine->speed = calloc(refine->n_tiles, 1);
        refine->still = calloc(refine->n_tiles, 1);
        if (!refine->coarse || !refine->next || !refine->speed || !refine->still)
                return -ENOMEM;
        *ret = TAKE_PTR(refine);
        return 0;
}

Refine *refine_free(Refine *refine) {
        if (!refine)
                return NULL;
        free(refine->coarse);
        free(refine->next);
        free(refine->speed);
        free(refine->still);
        free(refine);
        return NULL;
}

/* Whether any tile that the rectangle touches is coarse in the picture before. */
static bool any_coarse(const Refine *refine, uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
        for (uint32_t down = y / SEGMENT_TILE_HEIGHT; down * SEGMENT_TILE_HEIGHT < y + height; down++)
                for (uint32_t across = x / SEGMENT_TILE_WIDTH; across * SEGMENT_TILE_WIDTH < x + width;
                     across++)
                        if (refine->coarse[down * refine->tiles_across + across])
                                return true;
        return false;
}

static uint32_t min(uint32_t a, uint32_t b) {
        return a < b ? a : b;
}

static uint32_t max(uint32_t a, uint32_t b) {
        return a > b ? a : b;
}

/* Every tile that a move draws on is as coarse as what it brings. */
static void carry(Refine *refine, const SegmentMove *move) {
        uint32_t right = move->x + move->width, end = move->y + move->height;

        for (uint32_t down = move->y / SEGMENT_TILE_HEIGHT; down * SEGMENT_TILE_HEIGHT < end; down++)
                for (uint32_t across = move->x / SEGMENT_TILE_WIDTH; across * SEGMENT_TILE_WIDTH < right;
                     across++) {
                        uint32_t left = max(across * SEGMENT_TILE_WIDTH, move->x),
                                 top = max(down * SEGMENT_TILE_HEIGHT, move->y);
                        uint32_t width = min((across + 1) * SEGMENT_TILE_WIDTH, right) - left,
                                 height = min((down + 1) * SEGMENT_TILE_HEIGHT, end) - top;
                        if (any_coarse(refine, move->from_x + (left - move->x),
                                       move->from_y + (top - move->y), width, height))
                                refine->next[down * refine->tiles_across + across] = 1;
                }
}

void refine_begin(Refine *refine, const SegmentMove *moves, uint32_t n_moves, const uint8_t *changed,
                  uint8_t *left) {
        memcpy(refine->next, refine->coarse, refine->n_tiles);
        if (refine->n_coarse == 0)
                return;
        for (uint32_t i = 0; i < n_moves; i++)
                carry(refine, &moves[i]);
        for (uint32_t tile = 0; tile < refine->n_tiles; tile++)
                if (refine->coarse[tile] && !changed[tile] && refine->still[tile] >= STILL_MIN)
                        left[tile] = 1;
}

bool refine_any(const Refine *refine) {
        return refine->n_coarse > 0;
}

bool refine_fast(const Refine *refine, uint32_t tile) {
        return refine->speed[tile] >= FAST_MIN;
}

void refine_sent(Refine *refine, uint32_t tile, bool coarse) {
        refine->next[tile] = coarse;
}

void refine_keep(Refine *refine, const uint8_t *changed) {
        uint8_t *swap = refine->coarse;
        uint32_t n = 0;

        refine->coarse = refine->next;
        refine->next = swap;
        for (uint32_t tile = 0; tile < refine->n_tiles; tile++) {
                uint8_t speed = refine->speed[tile], still = refine->still[tile];
                n += refine->coarse[tile];
                refine->speed[tile] = (uint8_t) (changed[tile] ? min(speed + FAST_STEP, FAST_MAX)
                                                               : speed - (speed > 0));
                refine->still[tile] = changed[tile] ? 0 : (uint8_t) min(still + 1U, UINT8_MAX);
        }
        refine->n_coarse = n;
}
