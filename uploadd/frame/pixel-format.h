/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The pixel formats that can be read, as drm_fourcc.h defines them: one table, and a function for each that
 * makes channels of its bytes. Chroma is that of the block, not interpolated. */

#include <stdbool.h>
#include <stddef.h>

#include "color.h"

#define FORMAT_MEMORY_MAX 2U

typedef struct PixelFormat {
        uint32_t format; /* DRM_FORMAT_* */
        bool alpha;
        enum {
                COPY_NEVER,
                COPY_AS_IS,   /* B, G, R, and anything or alpha in memory */
                COPY_SWAPPED, /* R, G, B, … */
        } copy;
        uint8_t yuv_bits; /* of a sample; 0: RGB */
        uint8_t n_memory;
        struct {
                uint8_t bytes, across, down; /* of a block, and the pixels it is for */
        } memory[FORMAT_MEMORY_MAX];

        /* Makes n pixels of the rows, each of which begins with the first pixel's block. */
        void (*wide)(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv, WidePixel *to);
        /* Likewise 0xAARRGGBB, of the nearest 8 bits. */
        void (*narrow)(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv, uint32_t *to);
} PixelFormat;

/* NULL: none such. */
const PixelFormat *pixel_format_find(uint32_t format);

/* Bytes of a row of n pixels, in memory plane i. */
static inline uint32_t pixel_format_row(const PixelFormat *format, unsigned i, uint32_t n) {
        return (n + format->memory[i].across - 1) / format->memory[i].across * format->memory[i].bytes;
}

/* Rows of n pixels' height. */
static inline uint32_t pixel_format_rows(const PixelFormat *format, unsigned i, uint32_t n) {
        return (n + format->memory[i].down - 1) / format->memory[i].down;
}

/* The pixels that share a block with their neighbours, in a row. */
static inline uint32_t pixel_format_across(const PixelFormat *format) {
        return format->memory[format->n_memory - 1].across;
}
