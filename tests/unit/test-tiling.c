/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include <drm_fourcc.h>

#include "random.h"
#include "tiling.h"

/* Where the byte in column x of row y is, by the reference manuals' words instead of their bits: tiles of 4
 * KiB in row-major order, and in each
 *
 *   X  8 rows of 512 bytes;
 *   Y  8 columns of 32 rows of 16 bytes;
 *   4  blocks of 64 bytes × 8 rows in row-major order, each of 4 × 2 lines of cache in row-major order, each
 * of 4 rows of 16 bytes. */
static size_t where(enum tiling tiling, size_t pitch, size_t x, size_t y) {
        size_t tile, in_tile;

        if (tiling == TILING_LINEAR)
                return y * pitch + x;
        if (tiling == TILING_X) {
                tile = y / 8 * (pitch / 512) + x / 512;
                in_tile = y % 8 * 512 + x % 512;
        } else {
                tile = y / 32 * (pitch / 128) + x / 128;
                x %= 128;
                y %= 32;
                in_tile = x / 16 * 512 + y * 16 + x % 16;
                if (tiling == TILING_4)
                        in_tile = (y / 8 * 2 + x / 64) * 512 + (y % 8 / 4 * 4 + x % 64 / 16) * 64 +
                                  y % 4 * 16 + x % 16;
        }
        return tile * 4096 + in_tile;
}

static void test_detile(void **state) {
        static const enum tiling tilings[] = { TILING_X, TILING_Y, TILING_4 };
        (void) state;

        random_begin();
        for (unsigned round = 0; round < 300; round++) {
                enum tiling tiling = tilings[round % 3];
                uint32_t pitch = (1 + random_below(6)) * tiling_width(tiling), rows = 1 + random_below(100);
                size_t size = tiling_size(tiling, pitch, rows, pitch);
                uint8_t *linear = malloc((size_t) pitch * rows), *tiled = aligned_alloc(4096, size);
                uint8_t *read = malloc((size_t) pitch * rows);

                random_fill(linear, (size_t) pitch * rows);
                random_fill(tiled, size);
                for (uint32_t y = 0; y < rows; y++)
                        for (uint32_t x = 0; x < pitch; x++) {
                                assert_true(where(tiling, pitch, x, y) < size);
                                tiled[where(tiling, pitch, x, y)] = linear[(size_t) y * pitch + x];
                        }
                tiling_read(tiling, tiled, pitch, 0, 0, pitch, rows, read, pitch);
                assert_memory_equal(read, linear, (size_t) pitch * rows);

                uint32_t spans = pitch / TILING_SPAN, x = random_below(spans), y = random_below(rows);
                uint32_t n = 1 + random_below(spans - x), n_rows = 1 + random_below(rows - y);
                memset(read, 0xaa, (size_t) pitch * rows);
                tiling_read(tiling, tiled, pitch, x * TILING_SPAN, y, n * TILING_SPAN, n_rows, read, pitch);
                for (uint32_t row = 0; row < n_rows; row++)
                        assert_memory_equal(read + (size_t) row * pitch,
                                            linear + (size_t) (y + row) * pitch + x * TILING_SPAN,
                                            n * TILING_SPAN);
                free(linear);
                free(tiled);
                free(read);
        }
}

/* The other way: each byte of a tile is somewhere, and only once. */
static void test_every_byte_once(void **state) {
        (void) state;

        for (enum tiling tiling = TILING_X; tiling < _TILING_MAX; tiling++) {
                uint32_t pitch = tiling_width(tiling) * 2, rows = tiling_height(tiling) * 2;
                uint8_t seen[4 * TILE_BYTES] = {}, *read = malloc(sizeof(seen));
                uint8_t *tiled = aligned_alloc(4096, sizeof(seen));

                for (unsigned byte = 0; byte < 2; byte++) {
                        for (size_t i = 0; i < sizeof(seen); i++)
                                tiled[i] = (uint8_t) (i >> 8 * byte);
                        tiling_read(tiling, tiled, pitch, 0, 0, pitch, rows, read, pitch);
                        for (uint32_t y = 0; y < rows; y++)
                                for (uint32_t x = 0; x < pitch; x++) {
                                        size_t at = where(tiling, pitch, x, y);
                                        assert_int_equal(read[y * pitch + x], (uint8_t) (at >> 8 * byte));
                                        seen[at] |= (uint8_t) (1 << byte);
                                }
                }
                for (size_t i = 0; i < sizeof(seen); i++)
                        assert_int_equal(seen[i], 3);
                free(read);
                free(tiled);
        }
}

static void test_sizes(void **state) {
        (void) state;

        assert_true(tiling_size(TILING_LINEAR, 400, 3, 390) == 1190);
        assert_true(tiling_size(TILING_X, 1024, 1, 4) == 8192);
        assert_true(tiling_size(TILING_X, 1024, 9, 4) == 16384);
        assert_true(tiling_size(TILING_Y, 128, 33, 4) == 8192);
        assert_true(tiling_size(TILING_4, UINT32_MAX, UINT32_MAX, 1) > UINT64_C(1) << 63);
}

static void test_modifiers(void **state) {
        static const uint64_t others[] = { I915_FORMAT_MOD_Yf_TILED,
                                           I915_FORMAT_MOD_Y_TILED_CCS,
                                           I915_FORMAT_MOD_4_TILED_DG2_RC_CCS,
                                           AMD_FMT_MOD,
                                           DRM_FORMAT_MOD_NVIDIA_16BX2_BLOCK(1),
                                           1 };
        enum tiling tiling;
        (void) state;

        assert_true(tiling_of_modifier(I915_FORMAT_MOD_4_TILED, &tiling));
        assert_int_equal(tiling, TILING_4);
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
                assert_false(tiling_of_modifier(others[i], &tiling));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_detile),
                cmocka_unit_test(test_every_byte_once),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_modifiers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
