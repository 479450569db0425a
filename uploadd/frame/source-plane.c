/* SPDX-License-Identifier: Apache-2.0 */
#include "source-plane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "pixels.h"

/* Rows of the bytes that a rectangle is made of, in one plane of memory. */
typedef struct Rows {
        const uint8_t *first;
        size_t pitch;
} Rows;

static bool read_in_place(const SourcePlane *plane) {
        return plane->tiling == TILING_LINEAR && !plane->write_combined;
}

/* The most bytes that a copied row takes: it may begin and end within a block and within a span. */
static size_t copied_pitch(const SourcePlane *plane, unsigned i, uint32_t width) {
        size_t bytes = pixel_format_row(plane->format, i, width + pixel_format_across(plane->format));
        return (bytes + 3 * TILING_SPAN) / TILING_SPAN * TILING_SPAN;
}

/* One row more than the pixels need: they may begin within a block. */
static size_t copied_rows(const SourcePlane *plane, unsigned i, uint32_t height) {
        return (size_t) pixel_format_rows(plane->format, i, height) + 1;
}

int source_scratch_reserve(SourceScratch *scratch, const SourcePlane *plane, uint32_t width,
                           uint32_t height) {
        uint32_t wide = width + pixel_format_across(plane->format);
        size_t size = 0;

        for (unsigned i = 0; i < plane->format->n_memory && !read_in_place(plane); i++)
                size += copied_pitch(plane, i, width) * copied_rows(plane, i, height);
        if (size > scratch->bytes_size) {
                free(scratch->bytes);
                scratch->bytes = malloc(size);
                scratch->bytes_size = scratch->bytes ? size : 0;
                if (!scratch->bytes)
                        return -ENOMEM;
        }
        if (wide > scratch->wide_size) {
                free(scratch->wide);
                scratch->wide = calloc(wide, sizeof(*scratch->wide));
                scratch->wide_size = scratch->wide ? wide : 0;
                if (!scratch->wide)
                        return -ENOMEM;
        }
        return 0;
}

void source_scratch_done(SourceScratch *scratch) {
        free(scratch->bytes);
        free(scratch->wide);
        *scratch = (SourceScratch){};
}

/* Brings the bytes of n_bytes × n_rows, from byte x of row y, to where they can be read. */
static Rows fetch(const SourcePlane *plane, unsigned i, uint32_t x, uint32_t y, uint32_t n_bytes,
                  uint32_t n_rows, uint8_t *copy) {
        const uint8_t *memory = plane->memory[i] + (size_t) y * plane->pitch[i] + x;
        uint32_t before = x % TILING_SPAN;
        size_t pitch = (before + n_bytes + TILING_SPAN - 1) / TILING_SPAN * TILING_SPAN;

        if (read_in_place(plane))
                return (Rows){ memory, plane->pitch[i] };
        if (plane->tiling == TILING_LINEAR) {
                for (uint32_t row = 0; row < n_rows; row++)
                        pixel_loops()->load(copy + row * pitch, memory + (size_t) row * plane->pitch[i],
                                            n_bytes);
                return (Rows){ copy, pitch };
        }
        tiling_read(plane->tiling, plane->memory[i], plane->pitch[i], x - before, y, (uint32_t) pitch,
                    n_rows, copy, pitch);
        return (Rows){ copy + before, pitch };
}

void source_plane_read(const SourcePlane *plane, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
                       uint32_t *to, size_t stride, SourceScratch *scratch) {
        const PixelFormat *format = plane->format;
        uint32_t before = x % pixel_format_across(format), n = before + width;
        const uint8_t *rows[FORMAT_MEMORY_MAX] = {};
        Rows fetched[FORMAT_MEMORY_MAX];
        uint8_t *copy = scratch->bytes;

        x -= before;
        for (unsigned i = 0; i < format->n_memory; i++) {
                uint32_t down = format->memory[i].down, first = y / down;
                uint32_t n_rows = (y + height - 1) / down - first + 1;

                fetched[i] = fetch(plane, i, pixel_format_row(format, i, x), first,
                                   pixel_format_row(format, i, n), n_rows, copy);
                if (!read_in_place(plane))
                        copy += copied_pitch(plane, i, width) * copied_rows(plane, i, height);
        }
        for (uint32_t row = 0; row < height; row++, to += stride) {
                for (unsigned i = 0; i < format->n_memory; i++) {
                        uint32_t down = format->memory[i].down;
                        rows[i] = fetched[i].first + ((y + row) / down - y / down) * fetched[i].pitch;
                }
                if (!plane->tones && before == 0) {
                        format->narrow(rows, n, &plane->yuv, to);
                } else if (!plane->tones) {
                        uint32_t *pixels = (uint32_t *) scratch->wide;
                        format->narrow(rows, n, &plane->yuv, pixels);
                        memcpy(to, pixels + before, width * sizeof(*to));
                } else {
                        format->wide(rows, n, &plane->yuv, scratch->wide);
                        tone_map_row(plane->tones, scratch->wide + before, width, plane->premultiplied, to);
                }
        }
}
