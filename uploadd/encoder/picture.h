/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The private copy of what an output shows. All that follows works on it: a live framebuffer changes while
 * it is read. */

#include "row-hash.h"

/* Of whole tiles: what is right of width and below height repeats the last column and row, which costs the
 * fewest bits. */
typedef struct Picture {
        uint32_t width, height; /* pixels shown */
        uint32_t tiles_across, tiles_down;
        size_t stride;    /* pixels from row to row */
        uint32_t *pixels; /* 0x00RRGGBB, that is B, G, R, 0 in memory */
        RowHash *hashes;  /* of each tile's part of a row, by rows; set by picture_update() */
} Picture;

/* Bytes of the pixels of a picture, which are whole tiles. */
uint64_t picture_size(uint32_t width, uint32_t height);

/* A black picture. -EINVAL: out of the segment's bounds; -ENOMEM. */
int picture_init(Picture *picture, uint32_t width, uint32_t height);
void picture_done(Picture *picture);

static inline uint32_t *picture_tile(const Picture *picture, uint32_t tile) {
        return picture->pixels +
               (size_t) (tile / picture->tiles_across) * SEGMENT_TILE_HEIGHT * picture->stride +
               (size_t) (tile % picture->tiles_across) * SEGMENT_TILE_WIDTH;
}

/* The hashes of row y, one for each tile across. */
static inline RowHash *picture_hashes(const Picture *picture, uint32_t y) {
        return picture->hashes + (size_t) y * picture->tiles_across;
}

/* What of a framebuffer is to be seen where. The rectangles are inside their memory and picture:
 * frame_open() has checked it. */
typedef struct PicturePlane {
        const uint8_t *pixels; /* of the rectangle's first pixel, 4 bytes each, aligned to 4 */
        size_t pitch;          /* bytes from row to row */
        bool swap;             /* R, G, B, X in memory instead of B, G, R, X */
        uint32_t x, y;         /* in the picture */
        uint32_t width, height;
        bool write_combined; /* uncached memory: to be read once, in whole cache lines */

        /* Not NULL: more has to be done than copying, and all of the above is unused. Makes n whole rows of
         * the picture from row top on, at most SEGMENT_TILE_HEIGHT, each once and in ascending order. */
        void (*compose)(void *composition, uint32_t top, uint32_t n, uint32_t *rows, size_t stride);
        void *composition;
} PicturePlane;

/* Compares what the plane shows, black around it, with the picture before, and makes now of it: every tile
 * that differs is copied once. Goes by bands of tiles, in the order of memory. The picture before is not
 * read but for its hashes, so a frame that has not changed costs one read.
 *
 * key: of the hashes of both. stale: a byte for each tile, 1 where now does not hold what before holds;
 * NULL: everywhere, and everything counts as changed. changed: likewise, 1 where the new now differs from
 * before; it may be the same array. staging: room for a band, SEGMENT_TILE_HEIGHT rows of now->stride.
 * Returns the number of tiles changed. */
uint32_t picture_update(Picture *now, const Picture *before, const RowHashKey *key,
                        const PicturePlane *plane, const uint8_t *stale, uint8_t *changed,
                        uint32_t *staging);
