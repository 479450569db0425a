/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "pixels.h"
#include "tile-dictionary.h"

/* Random rows, most of whose tiles are as before but for the unused byte. */
static void update_agrees(const PixelLoops *loops, const PixelLoops *portable) {
        enum { TILES = 9, SIZE = TILES * SEGMENT_TILE_WIDTH };
        static _Alignas(PIXELS_ALIGNMENT) uint32_t from[SIZE];
        static uint32_t before[SIZE], now[SIZE], other[SIZE];
        uint8_t differs[TILES] = { 1 }, wanted[TILES] = { 1 };
        uint32_t tiles = (uint32_t) rand() % (TILES + 1);

        for (size_t i = 0; i < SIZE; i++) {
                from[i] = (uint32_t) rand();
                before[i] = from[i] & PIXEL_MASK;
                now[i] = other[i] = 0x12345678;
        }
        for (int i = rand() % 5; i > 0; i--)
                before[rand() % SIZE] ^= 1U << rand() % 24;
        loops->update(from, before, now, tiles, 4, differs);
        portable->update(from, before, other, tiles, 4, wanted);
        assert_memory_equal(now, other, sizeof(now));
        assert_memory_equal(differs, wanted, sizeof(differs));
        for (uint32_t i = 0; i < SIZE; i++) {
                uint32_t tile = i / SEGMENT_TILE_WIDTH;
                if (tile >= tiles || !(differs[tile] & 4))
                        assert_int_equal(now[i], 0x12345678);
                else
                        assert_int_equal(now[i], from[i] & PIXEL_MASK);
                if (tile < tiles && (from[i] & PIXEL_MASK) != before[i])
                        assert_true(differs[tile] & 4);
        }
}

static void test_loops_agree(void **state) {
        const PixelLoops *best = pixel_loops(), *portable = pixel_loops_portable(),
                         *other_loads = pixel_loops_sse41();
        uint32_t *a = calloc(4096, 4), *b = calloc(4096, 4), *c = calloc(4096, 4);
        (void) state;

        for (unsigned round = 0; round < 500; round++) {
                size_t n = (size_t) rand() % 2000, offset = (size_t) rand() % 9,
                       tiles = n / SEGMENT_TILE_WIDTH;
                uint8_t one[32] = {}, other[32] = {};

                for (size_t i = 0; i < 4096; i++)
                        a[i] = (uint32_t) rand();
                best->copy(b, a + offset, n);
                portable->copy(c, a + offset, n);
                assert_memory_equal(b, c, n * 4);
                best->copy_swapped(b, a + offset, n);
                portable->copy_swapped(c, a + offset, n);
                assert_memory_equal(b, c, n * 4);
                const uint8_t *bytes = (const uint8_t *) a + (size_t) rand() % 40;
                best->load(b, bytes, n * 4 + 1);
                assert_memory_equal(b, bytes, n * 4 + 1);
                b[n] = 0x12345678;
                best->load(b, bytes, n * 4);
                assert_int_equal(b[n], 0x12345678);
                other_loads->load(b, bytes, n * 4 + 1);
                assert_memory_equal(b, bytes, n * 4 + 1);
                best->load(b, a + offset, n * 4);
                update_agrees(best, portable);
                update_agrees(other_loads, portable);
                for (unsigned i = 0; i < round % 8; i++)
                        b[(size_t) rand() % (n + 1)] ^= 1U << rand() % 32;
                best->compare(a + offset, b, tiles, one);
                portable->compare(a + offset, b, tiles, other);
                assert_memory_equal(one, other, sizeof(one));
                for (size_t i = 0; i < tiles * SEGMENT_TILE_WIDTH; i++)
                        if ((a[offset + i] ^ b[i]) & PIXEL_MASK)
                                assert_int_equal(one[i / SEGMENT_TILE_WIDTH], 1);
        }
        free(a);
        free(b);
        free(c);
}

/* Two pictures in turn, as the encoder uses them, against a copy of everything. */
static void update_in_turn(uint32_t pitch) {
        const uint32_t width = 150, height = 45, n = pitch * height;
        uint32_t *source = aligned_alloc(64, (n * 4 + 63) / 64 * 64), *staging = calloc(192 * 8, 4);
        uint8_t changed[18];
        Picture now, before;

        memset(source, 0, n * 4);

        assert_return_code(picture_init(&now, width, height), 0);
        assert_return_code(picture_init(&before, width, height), 0);
        for (unsigned round = 0; round < 300; round++) {
                const PicturePlane plane = { .pixels = (const uint8_t *) source,
                                             .pitch = pitch * 4,
                                             .swap = round / 10 % 3 == 1,
                                             .write_combined = round / 10 % 2,
                                             .width = width,
                                             .height = height };
                for (unsigned i = (unsigned) rand() % 5; i > 0; i--)
                        source[(uint32_t) rand() % n] = (uint32_t) rand();
                uint32_t found = picture_update(&now, &before, &plane, round > 0 ? changed : NULL, changed,
                                                staging);
                for (uint32_t y = 0; y < 48; y++)
                        for (uint32_t x = 0; x < 192; x++) {
                                uint32_t pixel = source[(y < height ? y : height - 1) * pitch +
                                                        (x < width ? x : width - 1)];
                                pixel = plane.swap ? __builtin_bswap32(pixel) >> 8 : pixel & PIXEL_MASK;
                                assert_int_equal(now.pixels[y * now.stride + x], pixel);
                        }
                uint32_t differing = 0;
                for (uint32_t tile = 0; tile < 18; tile++) {
                        const uint32_t *a = picture_tile(&now, tile), *b = picture_tile(&before, tile);
                        bool differs = false;
                        for (int row = 0; row < 8; row++)
                                differs |= memcmp(a + row * 192, b + row * 192, 256) != 0;
                        assert_int_equal(changed[tile], round > 0 ? differs : 1);
                        differing += changed[tile];
                }
                assert_int_equal(found, differing);
                if (round % 3 == 2)
                        continue; /* a frame that could not be written */
                Picture swap = now;
                now = before;
                before = swap;
        }
        picture_done(&now);
        picture_done(&before);
        free(source);
        free(staging);
}

/* With rows that begin where streaming loads may, and without. */
static void test_update_in_turn(void **state) {
        (void) state;

        update_in_turn(160);
        update_in_turn(150);
}

static TileHash number_hash(uint64_t i) {
        return (TileHash){ i * 7919, i };
}

static void test_dictionary_window(void **state) {
        TileDictionary *dictionary = NULL;
        uint32_t number = 0;
        (void) state;

        assert_return_code(tile_dictionary_new(&dictionary), 0);
        for (uint32_t i = 0; i < SEGMENT_DICTIONARY_TILES + 1000; i++) {
                assert_false(tile_dictionary_add(dictionary, number_hash(i), &number));
                assert_int_equal(tile_dictionary_next(dictionary), i + 1);
                assert_true(tile_dictionary_add(dictionary, number_hash(i), &number));
                assert_int_equal(number, i);
        }
        assert_true(tile_dictionary_add(dictionary, number_hash(1000),
                                        &number)); /* the last in the window */
        assert_int_equal(number, 1000);
        tile_dictionary_begin(dictionary, 1); /* one more and it would be out */
        assert_false(tile_dictionary_add(dictionary, number_hash(1000), &number));
        assert_false(tile_dictionary_add(dictionary, number_hash(999), &number));

        /* What was overwritten and taken back is not found. */
        tile_dictionary_revert(dictionary, SEGMENT_DICTIONARY_TILES + 1000);
        assert_false(tile_dictionary_add(dictionary, number_hash(1001), &number));
        assert_true(tile_dictionary_add(dictionary, number_hash(5000), &number));
        assert_int_equal(number, 5000);
        tile_dictionary_clear(dictionary);
        assert_false(tile_dictionary_add(dictionary, number_hash(5000), &number));
        assert_int_equal(tile_dictionary_next(dictionary), 1);

        /* Those that are skipped take a number, and taking them back leaves the others. */
        assert_false(tile_dictionary_add(dictionary, (TileHash){}, &number));
        for (uint32_t i = 0; i < 3; i++)
                tile_dictionary_skip(dictionary);
        assert_int_equal(tile_dictionary_next(dictionary), 5);
        assert_false(tile_dictionary_add(dictionary, number_hash(1), &number));
        assert_true(tile_dictionary_add(dictionary, number_hash(1), &number));
        assert_int_equal(number, 5);
        tile_dictionary_revert(dictionary, 2);
        assert_true(tile_dictionary_add(dictionary, (TileHash){}, &number));
        assert_int_equal(number, 1);
        assert_false(tile_dictionary_add(dictionary, number_hash(1), &number));
        assert_int_equal(tile_dictionary_next(dictionary), 3);
        tile_dictionary_free(dictionary);
}

static void test_hash_is_of_all_pixels(void **state) {
        TileDictionary *dictionary = NULL, *other = NULL;
        Picture picture;
        (void) state;

        assert_return_code(tile_dictionary_new(&dictionary), 0);
        assert_return_code(tile_dictionary_new(&other), 0);
        assert_return_code(picture_init(&picture, 128, 16), 0);
        TileHash blank = tile_dictionary_hash(dictionary, &picture, 3);
        TileHash elsewhere = tile_dictionary_hash(dictionary, &picture, 0);
        static const uint8_t zero[TILE_HASH_SECRET_SIZE];
        TileHash best = tile_hash_function()(picture.pixels, picture.stride, zero);
        TileHash portable = tile_hash_portable(picture.pixels, picture.stride, zero);
        assert_memory_equal(&best, &portable, sizeof(best));
        TileHash secret = tile_dictionary_hash(other, &picture, 0);
        assert_memory_equal(&blank, &elsewhere, sizeof(blank));
        assert_memory_not_equal(&blank, &secret, sizeof(blank));
        for (uint32_t y = 8; y < 16; y++)
                for (uint32_t x = 64; x < 128; x++) {
                        picture.pixels[y * 128 + x] ^= 0x10000;
                        TileHash hash = tile_dictionary_hash(dictionary, &picture, 3);
                        assert_memory_not_equal(&blank, &hash, sizeof(hash));
                        picture.pixels[y * 128 + x] ^= 0x10000;
                }
        picture_done(&picture);
        tile_dictionary_free(dictionary);
        tile_dictionary_free(other);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_loops_agree),
                cmocka_unit_test(test_update_in_turn),
                cmocka_unit_test(test_dictionary_window),
                cmocka_unit_test(test_hash_is_of_all_pixels),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
