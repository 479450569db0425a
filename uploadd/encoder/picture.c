/* SPDX-License-Identifier: Apache-2.0 */
#include "picture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "pixels.h"

#define HUGE_PAGE (2UL << 20)

uint64_t picture_size(uint32_t width, uint32_t height) {
        return (uint64_t) segment_tiles_across(width) * SEGMENT_TILE_WIDTH * segment_tiles_down(height) *
               SEGMENT_TILE_HEIGHT * sizeof(uint32_t);
}

int picture_init(Picture *picture, uint32_t width, uint32_t height) {
        if (!segment_size_ok(width, height))
                return -EINVAL;
        uint32_t across = segment_tiles_across(width), down = segment_tiles_down(height);
        size_t stride = (size_t) across * SEGMENT_TILE_WIDTH;
        size_t size = picture_size(width, height);
        /* Rows are further apart than a page, so that a walk down a column needs one entry of the TLB each.
         */
        bool huge = size >= HUGE_PAGE;
        uint32_t *pixels =
                        aligned_alloc(huge ? HUGE_PAGE : 64, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
        if (!pixels)
                return -ENOMEM;
        if (huge)
                (void) madvise(pixels, size, MADV_HUGEPAGE);
        memset(pixels, 0, size);
        RowHash *hashes = calloc((size_t) across * down * SEGMENT_TILE_HEIGHT, sizeof(*hashes));
        if (!hashes) {
                free(pixels);
                return -ENOMEM;
        }
        *picture = (Picture){ width, height, across, down, stride, pixels, hashes };
        return 0;
}

void picture_done(Picture *picture) {
        free(picture->pixels);
        free(picture->hashes);
        *picture = (Picture){};
}

/* One band of tiles on its way from the plane into the picture. */
typedef struct Band {
        Picture *now;
        const RowHashKey *key;
        const PicturePlane *plane;
        const PixelLoops *loops;
        const uint32_t *rows[SEGMENT_TILE_HEIGHT]; /* what is to be seen: width pixels each */
        uint32_t n_rows;                           /* of them inside the picture */
        uint32_t *staging;                         /* for rows that cannot be read in place */
        bool one_pass;                             /* rows are read once, and staged then */
} Band;

static void stage_row(const Band *band, uint32_t y, uint32_t *row) {
        const PicturePlane *plane = band->plane;
        uint32_t width = band->now->width, end = plane->x + plane->width;

        if (y < plane->y || y - plane->y >= plane->height) {
                memset(row, 0, width * sizeof(uint32_t));
                return;
        }
        const uint32_t *from = (const void *) (plane->pixels + (y - plane->y) * plane->pitch);
        memset(row, 0, plane->x * sizeof(uint32_t));
        memset(row + end, 0, (width - end) * sizeof(uint32_t));
        if (plane->write_combined) {
                band->loops->load(row + plane->x, from, plane->width * sizeof(*from));
                from = row + plane->x;
        }
        if (plane->swap)
                band->loops->copy_swapped(row + plane->x, from, plane->width);
        else if (!plane->write_combined)
                band->loops->copy(row + plane->x, from, plane->width);
}

/* It is all of the picture, pixel for pixel. */
static bool is_whole(const Band *band) {
        const PicturePlane *plane = band->plane;
        return !plane->compose && !plane->swap && plane->width == band->now->width &&
               plane->height == band->now->height;
}

static bool in_place(const Band *band) {
        return is_whole(band) && !band->plane->write_combined;
}

/* Hashed while it is read, on its way into the staging or the picture. */
static bool in_one_pass(const Band *band) {
        const PicturePlane *plane = band->plane;
        return is_whole(band) && plane->write_combined &&
               ((uintptr_t) plane->pixels | plane->pitch) % PIXELS_ALIGNMENT == 0;
}

static uint32_t rows_of_band(const Band *band, uint32_t top) {
        uint32_t left = band->now->height - top;
        return left < SEGMENT_TILE_HEIGHT ? left : SEGMENT_TILE_HEIGHT;
}

static uint32_t *staged(const Band *band, uint32_t i) {
        return band->staging + i * band->now->stride;
}

static void find_rows(Band *band, uint32_t top) {
        band->n_rows = rows_of_band(band, top);
        band->one_pass = in_one_pass(band);
        if (band->plane->compose)
                band->plane->compose(band->plane->composition, top, band->n_rows, band->staging,
                                     band->now->stride);
        for (uint32_t i = 0; i < band->n_rows; i++) {
                if (in_place(band) || band->one_pass) {
                        band->rows[i] = (const void *) (band->plane->pixels +
                                                        (top + i) * band->plane->pitch);
                        continue;
                }
                uint32_t *row = staged(band, i);
                if (!band->plane->compose)
                        stage_row(band, top + i, row);
                band->rows[i] = row;
        }
}

/* n whole tiles of row i from column x on. */
static void take(const Band *band, uint32_t top, uint32_t i, uint32_t x, const uint32_t *from, uint32_t n,
                 bool copy) {
        RowHash *hashes = picture_hashes(band->now, top + i) + x / SEGMENT_TILE_WIDTH;
        uint32_t *to = band->now->pixels + (top + i) * band->now->stride + x;

        if (band->one_pass)
                band->loops->load_hash(band->key, copy ? to : staged(band, i) + x, from, n, hashes);
        else if (copy)
                band->loops->copy_hash(band->key, to, from, n, hashes);
        else
                band->loops->hash(band->key, from, n, hashes);
}

/* Hashes row i of the band in the tiles from first to below end, or copies and hashes it. */
static void take_row(const Band *band, uint32_t top, uint32_t i, uint32_t first, uint32_t end, bool copy) {
        const Picture *now = band->now;
        uint32_t width = now->width, whole = width / SEGMENT_TILE_WIDTH, at = first * SEGMENT_TILE_WIDTH;
        _Alignas(PIXELS_ALIGNMENT) uint32_t edge[SEGMENT_TILE_WIDTH];

        if (first < whole)
                take(band, top, i, at, band->rows[i] + at, (end < whole ? end : whole) - first, copy);
        if (end <= whole)
                return;
        at = whole * SEGMENT_TILE_WIDTH;
        band->loops->load(edge, band->rows[i] + at, (width - at) * sizeof(uint32_t));
        for (uint32_t x = width - at; x < SEGMENT_TILE_WIDTH; x++)
                edge[x] = edge[x - 1];
        take(band, top, i, at, edge, 1, copy);
}

/* What hangs over the lower edge. */
static void repeat_last_row(const Band *band, uint32_t top, uint32_t first, uint32_t end, bool copy) {
        const Picture *now = band->now;

        for (uint32_t y = top + band->n_rows; y < top + SEGMENT_TILE_HEIGHT; y++) {
                memcpy(picture_hashes(now, y) + first, picture_hashes(now, y - 1) + first,
                       (end - first) * sizeof(RowHash));
                uint32_t *to = now->pixels + y * now->stride + first * SEGMENT_TILE_WIDTH;
                if (copy)
                        memcpy(to, to - now->stride, (end - first) * SEGMENT_TILE_WIDTH * sizeof(uint32_t));
        }
}

static void take_tiles(const Band *band, uint32_t top, uint32_t first, uint32_t end, bool copy) {
        for (uint32_t i = 0; i < band->n_rows; i++)
                take_row(band, top, i, first, end, copy);
        repeat_last_row(band, top, first, end, copy);
}

/* The tiles are taken in runs that are all stale or all not, each row from left to right. */
static void take_band(const Band *band, uint32_t top, const uint8_t *stale) {
        uint32_t across = band->now->tiles_across, end;

        for (uint32_t i = 0; i < band->n_rows; i++)
                for (uint32_t x = 0; x < across; x = end) {
                        for (end = x + 1; end < across && stale[end] == stale[x];)
                                end++;
                        take_row(band, top, i, x, end, stale[x]);
                }
        for (uint32_t x = 0; x < across; x++)
                repeat_last_row(band, top, x, x + 1, stale[x]);
}

static void compare_band(const Picture *a, const Picture *b, uint32_t top, uint8_t *differs) {
        memset(differs, 0, a->tiles_across);
        for (uint32_t y = top; y < top + SEGMENT_TILE_HEIGHT; y++) {
                const RowHash *of_a = picture_hashes(a, y), *of_b = picture_hashes(b, y);
                for (uint32_t x = 0; x < a->tiles_across; x++)
                        differs[x] |= !row_hash_equal(&of_a[x], &of_b[x]);
        }
}

/* stale becomes what has changed; above is that of the band above, or NULL. Copied at once is a tile that is
 * stale, and one below a tile that differs: either is likely to differ too. Another one is read again when
 * it is known to. */
static void update_band(Band *band, const Picture *before, uint32_t top, uint8_t *stale,
                        const uint8_t *above) {
        uint32_t across = band->now->tiles_across;
        uint8_t differs[SEGMENT_SIDE_MAX / SEGMENT_TILE_WIDTH];

        for (uint32_t x = 0; above && x < across; x++)
                stale[x] |= above[x];
        take_band(band, top, stale);
        compare_band(band->now, before, top, differs);
        for (uint32_t i = 0; band->one_pass && i < band->n_rows; i++)
                band->rows[i] = staged(band, i);
        band->one_pass = false;
        for (uint32_t x = 0, end; x < across; x = end) {
                for (end = x; end < across && differs[end] && !stale[end];)
                        end++;
                if (end > x)
                        take_tiles(band, top, x, end, true);
                else
                        end++;
        }
        memcpy(stale, differs, across);
}

uint32_t picture_update(Picture *now, const Picture *before, const RowHashKey *key,
                        const PicturePlane *plane, const uint8_t *stale, uint8_t *changed,
                        uint32_t *staging) {
        Band band = { .now = now, .key = key, .plane = plane, .staging = staging, .loops = pixel_loops() };
        uint32_t across = now->tiles_across, n = 0;

        if (!stale)
                memset(changed, 1, (size_t) across * now->tiles_down);
        else if (stale != changed)
                memcpy(changed, stale, (size_t) across * now->tiles_down);
        for (uint32_t y = 0; y < now->tiles_down; y++, changed += across) {
                uint32_t top = y * SEGMENT_TILE_HEIGHT;
                find_rows(&band, top);
                if (stale)
                        update_band(&band, before, top, changed, y > 0 ? changed - across : NULL);
                else
                        take_tiles(&band, top, 0, across, true);
                for (uint32_t x = 0; x < across; x++)
                        n += changed[x];
        }
        return n;
}
