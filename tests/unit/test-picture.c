/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "pixels.h"
#include "tile-dictionary.h"

/* The formula of row-hash.h, word for word. */
static RowHash wanted_hash(const RowHashKey *key, const uint32_t *pixels) {
        RowHash hash = {};

        for (uint32_t part = 0; part < ROW_HASH_PARTS; part++)
                for (uint32_t i = 0; i < SEGMENT_TILE_WIDTH; i += 2) {
                        uint32_t a = pixels[i] % (1U << 24) + key->words[i + part * ROW_HASH_SHIFT],
                                 b = pixels[i + 1] % (1U << 24) + key->words[i + 1 + part * ROW_HASH_SHIFT];
                        hash.parts[part] += (uint64_t) a * b;
                }
        return hash;
}

static void check_hashes(const PixelLoops *loops, const RowHashKey *key, const uint32_t *row,
                         uint32_t tiles) {
        enum { TILES = 9 };
        _Alignas(PIXELS_ALIGNMENT) uint32_t copy[(TILES + 1) * SEGMENT_TILE_WIDTH];
        static _Alignas(PIXELS_ALIGNMENT) uint32_t aligned[TILES * SEGMENT_TILE_WIDTH],
                        loaded[TILES * SEGMENT_TILE_WIDTH];
        RowHash hashes[TILES + 1], copied[TILES + 1], none;

        memset(copy, 0x12, sizeof(copy));
        memset(hashes, 0x34, sizeof(hashes));
        memset(copied, 0x34, sizeof(copied));
        memset(&none, 0x34, sizeof(none));
        loops->hash(key, row, tiles, hashes);
        loops->copy_hash(key, copy, row, tiles, copied);
        assert_memory_equal(hashes, copied, sizeof(hashes));
        assert_memory_equal(&hashes[tiles], &none, sizeof(none));
        memcpy(aligned, row, sizeof(aligned));
        loops->load_hash(key, loaded, aligned, tiles, copied);
        assert_memory_equal(hashes, copied, sizeof(hashes));
        assert_memory_equal(loaded, copy, tiles * SEGMENT_TILE_WIDTH * sizeof(uint32_t));
        for (uint32_t i = 0; i < tiles; i++) {
                RowHash wanted = wanted_hash(key, row + i * SEGMENT_TILE_WIDTH);
                assert_memory_equal(&hashes[i], &wanted, sizeof(wanted));
        }
        for (uint32_t i = 0; i < ELEMENTSOF(copy); i++)
                assert_int_equal(copy[i], i < tiles * SEGMENT_TILE_WIDTH ? row[i] & PIXEL_MASK : 0x12121212);
}

static void test_hashes(void **state) {
        const PixelLoops *loops[] = { pixel_loops(), pixel_loops_sse41(), pixel_loops_portable() };
        uint32_t row[10 * SEGMENT_TILE_WIDTH];
        (void) state;

        for (unsigned round = 0; round < 200; round++) {
                RowHashKey key, other;
                assert_return_code(row_hash_key_init(&key), 0);
                assert_return_code(row_hash_key_init(&other), 0);
                assert_memory_not_equal(&key, &other, sizeof(key));
                for (size_t i = 0; i < ELEMENTSOF(row); i++)
                        row[i] = (uint32_t) rand() << 1 ^ (uint32_t) rand();
                for (size_t i = 0; i < ELEMENTSOF(loops); i++)
                        check_hashes(loops[i], &key, row + rand() % 64, (uint32_t) rand() % 10);
        }
}

static void test_loops_agree(void **state) {
        const PixelLoops *best = pixel_loops(), *portable = pixel_loops_portable(),
                         *other_loads = pixel_loops_sse41();
        uint32_t *a = calloc(4096, 4), *b = calloc(4096, 4), *c = calloc(4096, 4);
        (void) state;

        for (unsigned round = 0; round < 500; round++) {
                size_t n = (size_t) rand() % 2000, offset = (size_t) rand() % 9;

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

                uint8_t one[32] = { 1 }, other[32] = { 1 };
                memcpy(b, a + offset, n * 4);
                for (unsigned i = 0; i < round % 8; i++)
                        b[(size_t) rand() % (n + 1)] ^= 1U << rand() % 32;
                best->match(a + offset, b, n / SEGMENT_TILE_WIDTH, 4, one);
                portable->match(a + offset, b, n / SEGMENT_TILE_WIDTH, 4, other);
                assert_memory_equal(one, other, sizeof(one));
                for (size_t tile = 0; tile < n / SEGMENT_TILE_WIDTH; tile++)
                        assert_int_equal(one[tile],
                                         (tile == 0) + (memcmp(b + tile * SEGMENT_TILE_WIDTH,
                                                               a + offset + tile * SEGMENT_TILE_WIDTH,
                                                               SEGMENT_TILE_WIDTH * 4) == 0
                                                                        ? 4
                                                                        : 0));
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
        RowHashKey key;

        assert_return_code(row_hash_key_init(&key), 0);
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
                uint32_t found = picture_update(&now, &before, &key, &plane, round > 0 ? changed : NULL,
                                                changed, staging);
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

typedef struct Scribble {
        uint32_t *source;
        uint32_t n;
        atomic_bool end;
} Scribble;

static void *scribble(void *argument) {
        Scribble *s = argument;

        for (uint32_t seed = 1; !atomic_load_explicit(&s->end, memory_order_relaxed);) {
                seed = seed * 1664525 + 1013904223;
                ((volatile uint32_t *) s->source)[(seed >> 8) % s->n] = seed;
        }
        return NULL;
}

/* Whatever was copied, the hashes are of it: or a change would be missed later, or a tile be shown for
 * another. */
static void test_source_changes_meanwhile(void **state) {
        const uint32_t width = 1000, height = 45, across = 16;
        Scribble s = { .source = calloc((size_t) width * height, 4), .n = width * height };
        uint32_t *staging = calloc(across * 64 * 8, 4);
        const PicturePlane plane = {
                .pixels = (const uint8_t *) s.source, .pitch = width * 4, .width = width, .height = height
        };
        uint8_t changed[16 * 6];
        Picture now, before;
        RowHashKey key;
        pthread_t thread;
        (void) state;

        assert_return_code(row_hash_key_init(&key), 0);
        assert_return_code(picture_init(&now, width, height), 0);
        assert_return_code(picture_init(&before, width, height), 0);
        assert_int_equal(pthread_create(&thread, NULL, scribble, &s), 0);
        for (unsigned round = 0; round < 20000; round++) {
                (void) picture_update(&now, &before, &key, &plane, round > 0 ? changed : NULL, changed,
                                      staging);
                for (uint32_t y = 0; y < 48; y++) {
                        RowHash hashes[16];
                        pixel_loops()->hash(&key, now.pixels + y * now.stride, across, hashes);
                        assert_memory_equal(hashes, picture_hashes(&now, y), sizeof(hashes));
                }
                if (round % 3 == 2)
                        continue;
                Picture swap = now;
                now = before;
                before = swap;
        }
        atomic_store(&s.end, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        picture_done(&now);
        picture_done(&before);
        free(s.source);
        free(staging);
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

/* A picture of 2 × 2 tiles, all of one colour but for a pixel. */
static TileHash hash_of(const TileDictionary *dictionary, const RowHashKey *key, uint32_t tile,
                        uint32_t at) {
        static uint32_t source[128 * 16], staging[128 * 8];
        const PicturePlane plane = {
                .pixels = (const uint8_t *) source, .pitch = 512, .width = 128, .height = 16
        };
        uint8_t changed[4];
        Picture picture;

        for (uint32_t i = 0; i < ELEMENTSOF(source); i++)
                source[i] = i == at ? 0xffcd0f11 : 0xabcd0f10;
        assert_return_code(picture_init(&picture, 128, 16), 0);
        assert_int_equal(picture_update(&picture, &picture, key, &plane, NULL, changed, staging), 4);
        TileHash hash = tile_dictionary_hash(dictionary, &picture, tile);
        picture_done(&picture);
        return hash;
}

static void test_hash_is_of_all_pixels(void **state) {
        TileDictionary *dictionary = NULL, *other = NULL;
        RowHashKey key, other_key;
        (void) state;

        assert_return_code(tile_dictionary_new(&dictionary), 0);
        assert_return_code(tile_dictionary_new(&other), 0);
        assert_return_code(row_hash_key_init(&key), 0);
        assert_return_code(row_hash_key_init(&other_key), 0);
        TileHash blank = hash_of(dictionary, &key, 3, UINT32_MAX),
                 elsewhere = hash_of(dictionary, &key, 0, UINT32_MAX),
                 secret = hash_of(other, &key, 3, UINT32_MAX),
                 keyed = hash_of(dictionary, &other_key, 3, UINT32_MAX);
        assert_memory_equal(&blank, &elsewhere, sizeof(blank));
        assert_memory_not_equal(&blank, &secret, sizeof(blank));
        assert_memory_not_equal(&blank, &keyed, sizeof(blank));
        for (uint32_t y = 0; y < 16; y++)
                for (uint32_t x = 0; x < 128; x++) {
                        TileHash hash = hash_of(dictionary, &key, 3, y * 128 + x);
                        assert_int_equal(memcmp(&blank, &hash, sizeof(hash)) != 0, y >= 8 && x >= 64);
                }
        tile_dictionary_free(dictionary);
        tile_dictionary_free(other);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hashes),
                cmocka_unit_test(test_loops_agree),
                cmocka_unit_test(test_update_in_turn),
                cmocka_unit_test(test_source_changes_meanwhile),
                cmocka_unit_test(test_dictionary_window),
                cmocka_unit_test(test_hash_is_of_all_pixels),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
