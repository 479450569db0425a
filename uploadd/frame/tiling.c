/* SPDX-License-Identifier: Apache-2.0 */
#include "tiling.h"

#include <string.h>

#include <drm_fourcc.h>

#include "cleanup.h"

/* A byte's address within its tile is made of the bits of its column u and its row v, each once: from the
 * most significant address bit, as the reference manual's tables have it. The last four, not in the table,
 * are u3 to u0: a span. */
enum { U4 = 4, U5, U6, U7, U8, V0 = 16, V1, V2, V3, V4 };

static const struct {
        uint32_t width_bits, height_bits;
        uint8_t bits[8]; /* address bits 11 to 4 */
} tilings[_TILING_MAX] = {
        [TILING_X] = { 9, 3, { V2, V1, V0, U8, U7, U6, U5, U4 } },
        [TILING_Y] = { 7, 5, { U6, U5, U4, V4, V3, V2, V1, V0 } },
        [TILING_4] = { 7, 5, { V4, V3, U6, V2, U5, U4, V1, V0 } },
};

uint32_t tiling_width(enum tiling tiling) {
        return 1U << tilings[tiling].width_bits;
}

uint32_t tiling_height(enum tiling tiling) {
        return 1U << tilings[tiling].height_bits;
}

bool tiling_of_modifier(uint64_t modifier, enum tiling *ret) {
        static const struct {
                uint64_t modifier;
                enum tiling tiling;
        } modifiers[] = {
                { DRM_FORMAT_MOD_LINEAR, TILING_LINEAR },
                { I915_FORMAT_MOD_X_TILED, TILING_X },
                { I915_FORMAT_MOD_Y_TILED, TILING_Y },
                { I915_FORMAT_MOD_4_TILED, TILING_4 },
        };

        for (size_t i = 0; i < ELEMENTSOF(modifiers); i++)
                if (modifiers[i].modifier == modifier) {
                        *ret = modifiers[i].tiling;
                        return true;
                }
        return false;
}

uint64_t tiling_size(enum tiling tiling, uint32_t pitch, uint32_t rows, uint32_t row_bytes) {
        uint64_t height = tiling_height(tiling);

        if (tiling == TILING_LINEAR)
                return (uint64_t) pitch * (rows - 1) + row_bytes;
        return (rows + height - 1) / height * height * pitch;
}

/* The share of u, or of v, in a span's address: the other's bits are left zero. */
static uint32_t spread(enum tiling tiling, uint32_t coordinate, uint32_t first_bit) {
        uint32_t address = 0;

        for (uint32_t i = 0; i < ELEMENTSOF(tilings[tiling].bits); i++) {
                uint32_t bit = tilings[tiling].bits[i];
                if (bit / V0 == first_bit / V0)
                        address |= (coordinate >> (bit - first_bit) & 1) << (11 - i);
        }
        return address;
}

#ifdef __x86_64__
#include <smmintrin.h>

/* Graphics memory may be write-combined: pixels.h. */
__attribute__((target("sse4.1"))) static void
copy_column_streaming(const uint8_t *column, const uint32_t *v, uint32_t n, uint8_t *to, size_t to_pitch) {
        for (uint32_t i = 0; i < n; i++, to += to_pitch)
                _mm_storeu_si128((__m128i *) to, _mm_stream_load_si128((__m128i *) (column + v[i])));
}
#endif

static void copy_column(const uint8_t *column, const uint32_t *v, uint32_t n, uint8_t *to, size_t to_pitch) {
        for (uint32_t i = 0; i < n; i++, to += to_pitch)
                memcpy(to, column + v[i], TILING_SPAN);
}

void tiling_read(enum tiling tiling, const uint8_t *memory, uint32_t pitch, uint32_t x, uint32_t y,
                 uint32_t n_bytes, uint32_t n_rows, uint8_t *to, size_t to_pitch) {
        uint32_t width = tiling_width(tiling), height = tiling_height(tiling);
        uint32_t u[512 / TILING_SPAN], v[32];
        void (*copy)(const uint8_t *, const uint32_t *, uint32_t, uint8_t *, size_t) = copy_column;

#ifdef __x86_64__
        if ((uintptr_t) memory % TILING_SPAN == 0 && __builtin_cpu_supports("sse4.1"))
                copy = copy_column_streaming;
#endif
        for (uint32_t i = 0; i < width / TILING_SPAN; i++)
                u[i] = spread(tiling, i, U4);
        for (uint32_t i = 0; i < height; i++)
                v[i] = spread(tiling, i, V0);

        while (n_rows > 0) {
                uint32_t in_tile = y % height, n = height - in_tile < n_rows ? height - in_tile : n_rows;
                const uint8_t *tiles = memory + (size_t) (y / height) * height * pitch;

                for (uint32_t i = 0; i < n_bytes; i += TILING_SPAN) {
                        uint32_t at = x + i;
                        const uint8_t *tile = tiles + (size_t) (at / width) * TILE_BYTES;
                        copy(tile + u[at % width / TILING_SPAN], v + in_tile, n, to + i, to_pitch);
                }
                y += n;
                n_rows -= n;
                to += n * to_pitch;
        }
}
