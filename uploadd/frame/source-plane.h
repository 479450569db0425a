/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A plane's framebuffer in memory, and reading rectangles of it: detiled, its format and colours made
 * 0xAARRGGBB. All that is asked for is inside the memory: frame-plane.c has checked it. */

#include "pixel-format.h"
#include "tiling.h"
#include "tone-map.h"

typedef struct SourcePlane {
        const PixelFormat *format;
        enum tiling tiling;
        const uint8_t *memory[FORMAT_MEMORY_MAX];
        uint32_t pitch[FORMAT_MEMORY_MAX];
        bool write_combined;  /* uncached memory: to be read once, in whole cache lines */
        bool premultiplied;   /* alpha is in the colours already */
        YuvToRgb yuv;         /* if the format is YUV */
        const ToneMap *tones; /* NULL: SDR */
} SourcePlane;

/* Room for what is on its way; grows, and is kept. */
typedef struct SourceScratch {
        uint8_t *bytes;
        size_t bytes_size;
        WidePixel *wide;
        uint32_t wide_size;
} SourceScratch;

/* Makes room for reading rectangles of that size. -ENOMEM. */
int source_scratch_reserve(SourceScratch *scratch, const SourcePlane *plane, uint32_t width,
                           uint32_t height);
void source_scratch_done(SourceScratch *scratch);

/* Reads a rectangle into stride pixels a row. */
void source_plane_read(const SourcePlane *plane, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
                       uint32_t *to, size_t stride, SourceScratch *scratch);
