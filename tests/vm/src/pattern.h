/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* What the painter draws: XRGB8888 as a pure function of place, number and output. pattern.py is the same in
 * Python; change both.
 *
 * Made to come through JPEG (4:4:4, quality 85 and more) nearly unharmed and still to say exactly what it
 * is: cells of 64 × 64 px, each with a 48 × 48 block of one colour (aligned to JPEG's 8 × 8 blocks, so no
 * edge rings) on gentle ramps. A block is a bit, bright = 1. Eight by eight cells are a tile of 64 bits,
 * least significant bit first, row by row: 16 bits of PATTERN_SYNC (finds a turned or mirrored picture), 32
 * bits of n, 8 of the output, 8 of the other bytes' sum. Tiles repeat over the screen, and every pixel's
 * colour changes with n, so that a stale or torn part shows anywhere. A screen of less than 512 × 512 px has
 * no whole tile. */

#define PATTERN_CELL       64U
#define PATTERN_MARGIN     8U
#define PATTERN_TILE_CELLS 8U
#define PATTERN_SYNC       0xB1E3U

/* The tile's 64 bits. */
static inline uint64_t pattern_code(uint32_t n, uint8_t output) {
        uint64_t code = PATTERN_SYNC | (uint64_t) n << 16 | (uint64_t) output << 48;
        uint8_t sum = 0;

        for (unsigned byte = 0; byte < 7; byte++)
                sum = (uint8_t) (sum + (code >> (8 * byte)));
        return code | (uint64_t) sum << 56;
}

/* 0…127 and back, one step per pixel. */
static inline uint32_t pattern_ramp(uint32_t v) {
        return (v & 128) ? 127 - (v & 127) : v & 127;
}

/* `code` is pattern_code(n, output), which the caller works out once for a whole picture. */
static inline uint32_t pattern_pixel(uint32_t x, uint32_t y, uint32_t n, uint8_t output, uint64_t code) {
        uint32_t in_x = x % PATTERN_CELL, in_y = y % PATTERN_CELL;
        uint32_t r, g, b;

        if (in_x >= PATTERN_MARGIN && in_x < PATTERN_CELL - PATTERN_MARGIN && in_y >= PATTERN_MARGIN &&
            in_y < PATTERN_CELL - PATTERN_MARGIN) {
                uint32_t column = x / PATTERN_CELL % PATTERN_TILE_CELLS;
                uint32_t row = y / PATTERN_CELL % PATTERN_TILE_CELLS;
                uint32_t bit = row * PATTERN_TILE_CELLS + column;
                uint32_t base = (code >> bit & 1) ? 200 : 8;
                uint32_t shade = n + bit;

                r = base + 16 * (shade & 3);
                g = base + 16 * ((shade + 1) & 3);
                b = base + 16 * ((shade + output + 2) & 3);
        } else {
                r = 64 + pattern_ramp(x + 8 * n);
                g = 64 + pattern_ramp(y + 16 * n + 64 * output);
                b = 64 + pattern_ramp((x + y) / 2 + 32 * n);
        }
        return r << 16 | g << 8 | b;
}

/* The cursor's image, 64 × 64 px of ARGB8888, premultiplied: opaque on the upper left, half of it
 * see-through in a band beside, nothing beyond. */
static inline uint32_t pattern_cursor_pixel(uint32_t x, uint32_t y) {
        uint32_t alpha = x + y < 64 ? 255 : x + y < 96 ? 128 : 0;

        return alpha << 24 | (4 * x * alpha / 255) << 16 | (4 * y * alpha / 255) << 8 | alpha / 2;
}
