/* SPDX-License-Identifier: Apache-2.0 */
#include "picture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "pixels.h"

#define HUGE_PAGE (2UL << 20)

int picture_init(Picture *picture, uint32_t width, uint32_t height) {
        if (!segment_size_ok(width, height))
                return -EINVAL;
        uint32_t across = segment_tiles_across(width), down = segment_tiles_down(height);
        size_t stride = (size_t) across * SEGMENT_TILE_WIDTH;
        size_t size = stride * down * SEGMENT_TILE_HEIGHT * sizeof(uint32_t);
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
        *picture = (Picture){ width, height, across, down, stride, pixels };
        return 0;
}

void picture_done(Picture *picture) {
        free(picture->pixels);
        *picture = (Picture){};
}

/* One band of tiles on its way from the plane into the picture. */
typedef struct Band {
        Picture *now;
        const Picture *before;
        const PicturePlane *plane;
        const PixelLoops *loops;
        const uint32_t *rows[SEGMENT_TILE_HEIGHT]; /* what is to be seen: width pixels each */
        uint32_t n_rows;                           /* of them inside the picture */
        uint32_t *staging;                         /* for rows that cannot be read in place */
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

/* Without staging what is as before. */
static bool in_one_pass(const Band *band) {
        const PicturePlane *plane = band->plane;
        return is_whole(band) && plane->write_combined &&
               ((uintptr_t) plane->pixels | plane->pitch) % PIXELS_ALIGNMENT == 0;
}

static uint32_t rows_of_band(const Band *band, uint32_t top) {
        uint32_t left = band->now->height - top;
        return left < SEGMENT_TILE_HEIGHT ? left : SEGMENT_TILE_HEIGHT;
}

static void find_rows(Band *band, uint32_t top) {
        band->n_rows = rows_of_band(band, top);
        if (band->plane->compose)
                band->plane->compose(band->plane->composition, top, band->n_rows, band->staging,
                                     band->now->stride);
        for (uint32_t i = 0; i < band->n_rows; i++) {
                if (in_place(band)) {
                        band->rows[i] = (const void *) (band->plane->pixels +
                                                        (top + i) * band->plane->pitch);
                        continue;
                }
                uint32_t *row = band->staging + i * band->now->stride;
                if (!band->plane->compose)
                        stage_row(band, top + i, row);
                band->rows[i] = row;
        }
}

static void compare_band(const Band *band, uint32_t top, uint8_t *changed) {
        uint32_t whole = band->now->width / SEGMENT_TILE_WIDTH, at = whole * SEGMENT_TILE_WIDTH;

        for (uint32_t i = 0; i < band->n_rows; i++) {
                const uint32_t *before = band->before->pixels + (top + i) * band->before->stride;
                band->loops->compare(band->rows[i], before, whole, changed);
                for (uint32_t x = at; x < band->now->width; x++)
                        changed[whole] |= ((band->rows[i][x] ^ before[x]) & PIXEL_MASK) != 0;
        }
}

/* Copies n tiles' width from column x, with what hangs over the edges. */
static void copy_tiles(const Band *band, uint32_t top, uint32_t x, uint32_t n) {
        Picture *now = band->now;
        uint32_t end = x + n * SEGMENT_TILE_WIDTH, shown = end < now->width ? end : now->width;

        for (uint32_t i = 0; i < SEGMENT_TILE_HEIGHT; i++) {
                uint32_t *to = now->pixels + (top + i) * now->stride;
                if (i >= band->n_rows) {
                        memcpy(to + x, to + x - now->stride, (end - x) * sizeof(uint32_t));
                        continue;
                }
                band->loops->copy(to + x, band->rows[i] + x, shown - x);
                for (uint32_t over = shown; over < end; over++)
                        to[over] = to[shown - 1];
        }
}

/* What has not changed but is not in now. */
static void copy_stale(const Band *band, uint32_t tile) {
        uint32_t *to = picture_tile(band->now, tile);
        const uint32_t *from = picture_tile(band->before, tile);

        for (uint32_t i = 0; i < SEGMENT_TILE_HEIGHT; i++)
                memcpy(to + i * band->now->stride, from + i * band->now->stride,
                       SEGMENT_TILE_WIDTH * sizeof(uint32_t));
}

/* Where rows of a tile differ, they are in now already: the others are added. */
static void complete_tile(const Band *band, uint32_t tile, uint8_t differs) {
        size_t stride = band->now->stride, size = SEGMENT_TILE_WIDTH * sizeof(uint32_t);
        uint32_t *to = picture_tile(band->now, tile);
        const uint32_t *from = picture_tile(band->before, tile);

        for (uint32_t i = 0; i < SEGMENT_TILE_HEIGHT; i++)
                if (i >= band->n_rows)
                        memcpy(to + i * stride, to + (band->n_rows - 1) * stride, size);
                else if (!(differs & 1U << i))
                        memcpy(to + i * stride, from + i * stride, size);
}

/* One row up to the picture's right edge, and what hangs over it. */
static void update_row(const Band *band, uint32_t y, uint8_t bit, uint8_t *differs) {
        const uint32_t *from = (const void *) (band->plane->pixels + y * band->plane->pitch);
        uint32_t width = band->now->width, whole = width / SEGMENT_TILE_WIDTH,
                 at = whole * SEGMENT_TILE_WIDTH;
        const uint32_t *before = band->before->pixels + y * band->before->stride;
        uint32_t *now = band->now->pixels + y * band->now->stride;
        _Alignas(PIXELS_ALIGNMENT) uint32_t edge[SEGMENT_TILE_WIDTH];

        band->loops->update(from, before, now, whole, bit, differs);
        if (at == width)
                return;
        band->loops->load(edge, from + at, (width - at) * sizeof(uint32_t));
        for (uint32_t i = width - at; i < SEGMENT_TILE_WIDTH; i++)
                edge[i] = edge[width - at - 1];
        band->loops->update(edge, before + at, now + at, 1, bit, differs + whole);
}

static uint32_t update_band_in_one_pass(Band *band, uint32_t y, const uint8_t *stale, uint8_t *changed) {
        uint32_t across = band->now->tiles_across, top = y * SEGMENT_TILE_HEIGHT, n = 0;
        uint8_t differs[SEGMENT_SIDE_MAX / SEGMENT_TILE_WIDTH];

        memset(differs, 0, across);
        band->n_rows = rows_of_band(band, top);
        for (uint32_t i = 0; i < band->n_rows; i++)
                update_row(band, top + i, (uint8_t) (1U << i), differs);
        for (uint32_t x = 0; x < across; x++) {
                if (differs[x])
                        complete_tile(band, y * across + x, differs[x]);
                else if (stale[x])
                        copy_stale(band, y * across + x);
                changed[x] = differs[x] != 0;
                n += changed[x];
        }
        return n;
}

static uint32_t update_band(Band *band, uint32_t y, const uint8_t *stale, uint8_t *changed) {
        uint32_t across = band->now->tiles_across, top = y * SEGMENT_TILE_HEIGHT, n = 0;
        uint8_t differs[SEGMENT_SIDE_MAX / SEGMENT_TILE_WIDTH];

        if (stale && in_one_pass(band))
                return update_band_in_one_pass(band, y, stale, changed);
        find_rows(band, top);
        memset(differs, stale ? 0 : 1, across);
        if (stale)
                compare_band(band, top, differs);
        for (uint32_t x = 0; x < across; x++)
                if (stale && stale[x] && !differs[x])
                        copy_stale(band, y * across + x);
        for (uint32_t x = 0; x < across;) {
                uint32_t from = x;
                while (x < across && differs[x])
                        x++;
                if (x > from)
                        copy_tiles(band, top, from * SEGMENT_TILE_WIDTH, x - from);
                n += x - from;
                x += x == from;
        }
        memcpy(changed, differs, across);
        return n;
}

uint32_t picture_update(Picture *now, const Picture *before, const PicturePlane *plane, const uint8_t *stale,
                        uint8_t *changed, uint32_t *staging) {
        Band band = {
                .now = now, .before = before, .plane = plane, .staging = staging, .loops = pixel_loops()
        };
        uint32_t n = 0;

        for (uint32_t y = 0; y < now->tiles_down; y++) {
                size_t first = (size_t) y * now->tiles_across;
                n += update_band(&band, y, stale ? stale + first : NULL, changed + first);
        }
        return n;
}
