/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "encoder.h"
#include "reference.h"
#include "segment-canvas.h"

/* A screen of one output, encoded and decoded again. */
typedef struct Screen {
        uint32_t width, height;
        uint32_t *pixels;
        Encoder *encoder;
        SegmentCanvas canvas;
} Screen;

static void screen_init(Screen *screen, uint32_t width, uint32_t height) {
        *screen = (Screen){ width, height, calloc((size_t) width * height, 4) };
        assert_return_code(encoder_new(&screen->encoder, 85), 0);
        assert_return_code(segment_canvas_init(&screen->canvas, width, height), 0);
        /* Smooth here, noisy there. */
        for (uint32_t y = 0; y < height; y++)
                for (uint32_t x = 0; x < width; x++)
                        screen->pixels[y * width + x] = x / 50 % 2 ? (uint32_t) rand() : x * 7 << 8 | y * 3;
}

static void screen_done(Screen *screen) {
        free(screen->pixels);
        encoder_free(screen->encoder);
        segment_canvas_done(&screen->canvas);
}

static void screen_draw(Screen *screen, bool swap) {
        const PicturePlane plane = { .pixels = (const uint8_t *) screen->pixels,
                                     .pitch = screen->width * 4,
                                     .swap = swap,
                                     .width = screen->width,
                                     .height = screen->height };

        assert_return_code(encoder_prepare(screen->encoder, 0, screen->width, screen->height), 0);
        (void) encoder_draw(screen->encoder, 0, &plane);
}

/* Returns the number of tiles encoded, and applies them to the canvas. */
static uint32_t screen_encode(Screen *screen, bool key) {
        SegmentTables tables = encoder_tables(screen->encoder);
        EncodedFrame encoded;
        bool is_key;

        int r = encoder_encode(screen->encoder, 0, key, &is_key, &encoded);
        assert_true(r >= 0);
        assert_true(!key || is_key);
        SegmentFrame frame = { .flags = is_key ? SEGMENT_FRAME_KEY : 0,
                               .n_operations = encoded.n_operations,
                               .operations = encoded.operations->data,
                               .operations_size = encoded.operations->size };
        assert_return_code(segment_canvas_draw(&screen->canvas, &tables, &frame), 0);
        encoder_keep(screen->encoder, 0);
        return encoded.n_new + encoded.n_ref;
}

static void assert_equals_reference(const Screen *screen) {
        SegmentTables tables = encoder_tables(screen->encoder);
        uint8_t *wanted = reference_jpeg(screen->pixels, screen->width, screen->height, &tables);
        for (size_t i = 0; i < (size_t) screen->width * screen->height; i++)
                if (memcmp(wanted + i * 4, screen->canvas.pixels + i * 4, 3) != 0)
                        fail_msg("pixel %zu, %zu differs", i % screen->width, i / screen->width);
        free(wanted);
}

static void test_equals_a_whole_jpeg(void **state) {
        static const uint32_t sizes[][2] = { { 64, 8 },    { 1, 1 },     { 65, 9 },     { 150, 45 },
                                             { 640, 480 }, { 800, 601 }, { 1366, 768 }, { 4096, 2180 } };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Screen screen;
                screen_init(&screen, sizes[i][0], sizes[i][1]);
                screen_draw(&screen, false);
                assert_int_equal(screen_encode(&screen, true),
                                 segment_tiles_across(sizes[i][0]) * segment_tiles_down(sizes[i][1]));
                assert_equals_reference(&screen);
                screen_done(&screen);
        }
}

static void test_only_changed_tiles(void **state) {
        Screen screen;
        (void) state;

        screen_init(&screen, 300, 100); /* 5 × 13 tiles */
        screen_draw(&screen, false);
        assert_int_equal(screen_encode(&screen, false), 65); /* the first is a keyframe unasked */

        screen_draw(&screen, false);
        assert_int_equal(screen_encode(&screen, false), 0);

        screen.pixels[0] ^= 1;              /* tile 0 */
        screen.pixels[8 * 300 + 63] ^= 1;   /* 5 */
        screen.pixels[8 * 300 + 64] ^= 1;   /* 6 */
        screen.pixels[99 * 300 + 299] ^= 1; /* 64 */
        screen_draw(&screen, false);
        assert_int_equal(screen_encode(&screen, false), 4);
        assert_equals_reference(&screen);

        for (int i = 0; i < 300 * 100; i++)
                if (rand() % 500 == 0)
                        screen.pixels[i] = (uint32_t) rand();
        screen_draw(&screen, false);
        assert_true(screen_encode(&screen, false) > 4);
        assert_equals_reference(&screen);
        screen_done(&screen);
}

/* Scrolls, goes back to what was there, types here and there. */
static void animate(Screen *screen, unsigned round) {
        uint32_t width = screen->width, height = screen->height, *pixels = screen->pixels;
        static uint32_t *kept;

        if (round == 2)
                memcpy(kept = malloc((size_t) width * height * 4), pixels, (size_t) width * height * 4);
        if (round % 7 == 6)
                memcpy(pixels, kept, (size_t) width * height * 4);
        else if (round % 7 < 3)
                memmove(pixels + width * 40, pixels + width * (40 + round % 23),
                        (size_t) width * (height - 80) * 4);
        else if (round % 7 == 3)
                for (uint32_t y = 20; y < height - 20; y++)
                        memmove(pixels + y * width + 30, pixels + y * width + 30 + round % 50,
                                (width - 100) * 4);
        for (unsigned i = 0; i < round % 5; i++)
                pixels[(uint32_t) rand() % (width * height)] = (uint32_t) rand();
        if (round == 29)
                free(kept);
}

static void test_moves_and_repeats_are_exact(void **state) {
        uint32_t n_moves = 0, n_refs = 0;
        Reference reference;
        Screen screen;
        (void) state;

        screen_init(&screen, 700, 300);
        reference_init(&reference, 700, 300);
        for (unsigned round = 0; round < 30; round++) {
                SegmentTables tables = encoder_tables(screen.encoder);
                EncodedFrame encoded;
                bool key;

                animate(&screen, round);
                screen_draw(&screen, false);
                assert_true(encoder_encode(screen.encoder, 0, round % 13 == 0, &key, &encoded) >= 0);
                if (round % 9 == 5) /* as if it had not fitted: the next one must not build on it */
                        continue;
                SegmentFrame frame = { .flags = key ? SEGMENT_FRAME_KEY : 0,
                                       .n_operations = encoded.n_operations,
                                       .operations = encoded.operations->data,
                                       .operations_size = encoded.operations->size };
                assert_return_code(segment_canvas_draw(&screen.canvas, &tables, &frame), 0);
                const char *why = reference_frame(&reference, screen.pixels, &tables, &frame);
                if (why || !reference_equal(&reference, &screen.canvas))
                        fail_msg("frame %u: %s", round, why ? why : "is not as the reference");
                encoder_keep(screen.encoder, 0);
                n_moves += encoded.n_moves;
                n_refs += encoded.n_ref;
        }
        if (n_moves < 10 || n_refs < 100)
                fail_msg("only %u moves, %u repeats", n_moves, n_refs);
        reference_done(&reference);
        screen_done(&screen);
}

/* What changes all the time is coarse, moved or not; what then stays still is sent again, and so is as a
 * whole JPEG of it again. */
static void test_coarse_and_refined(void **state) {
        uint32_t n_coarse = 0, coarse_and_moved = 0;
        Reference reference;
        Screen screen;
        (void) state;

        screen_init(&screen, 700, 300);
        reference_init(&reference, 700, 300);
        screen.canvas.coarse = reference.coarse = encoder_coarse_tables(screen.encoder);
        for (unsigned round = 0; round < 40; round++) {
                SegmentTables tables = encoder_tables(screen.encoder);
                EncodedFrame encoded;
                bool key;

                encoder_set_coarse(screen.encoder, round >= 4 && round < 32);
                for (uint32_t y = 80; y < 200 && round < 30; y++)
                        for (uint32_t x = 100; x < 500; x++)
                                screen.pixels[y * 700 + x] = (uint32_t) rand();
                if (round == 31) /* all of it, with what is coarse in it */
                        memmove(screen.pixels, screen.pixels + 700 * 5, (size_t) 700 * 295 * 4);
                screen_draw(&screen, false);
                assert_true(encoder_encode(screen.encoder, 0, round == 20, &key, &encoded) >= 0);
                if (round % 9 == 5) /* as if it had not been written */
                        continue;
                SegmentFrame frame = { .flags = key ? SEGMENT_FRAME_KEY : 0,
                                       .n_operations = encoded.n_operations,
                                       .operations = encoded.operations->data,
                                       .operations_size = encoded.operations->size };
                assert_return_code(segment_canvas_draw(&screen.canvas, &tables, &frame), 0);
                const char *why = reference_frame(&reference, screen.pixels, &tables, &frame);
                if (why || !reference_equal(&reference, &screen.canvas))
                        fail_msg("frame %u: %s", round, why ? why : "is not as the reference");
                encoder_keep(screen.encoder, 0);
                assert_true(round >= 4 || encoded.n_coarse == 0);
                n_coarse += encoded.n_coarse;
                coarse_and_moved += round == 31 ? encoded.n_moves : 0;
        }
        assert_true(n_coarse > 1000);
        assert_true(coarse_and_moved > 0);
        /* MOVE shifted blocks of 8 × 8, so that only the film's place can be compared: it was sent again. */
        SegmentTables tables = encoder_tables(screen.encoder);
        uint8_t *wanted = reference_jpeg(screen.pixels, 700, 300, &tables);
        for (uint32_t y = 80; y < 192; y++)
                for (uint32_t x = 128; x < 448; x++)
                        assert_memory_equal(wanted + (y * 700 + x) * 4,
                                            screen.canvas.pixels + (y * 700 + x) * 4, 3);
        free(wanted);
        reference_done(&reference);
        screen_done(&screen);
}

static void test_unused_byte_is_no_change(void **state) {
        Screen screen;
        (void) state;

        screen_init(&screen, 100, 20);
        screen_draw(&screen, false);
        screen_encode(&screen, false);
        for (int i = 0; i < 100 * 20; i++)
                screen.pixels[i] ^= (uint32_t) rand() << 24;
        screen_draw(&screen, false);
        assert_int_equal(screen_encode(&screen, false), 0);
        screen_done(&screen);
}

static void test_other_order_of_colours(void **state) {
        Screen screen;
        (void) state;

        screen_init(&screen, 100, 20);
        screen_draw(&screen, false);
        screen_encode(&screen, false);
        for (int i = 0; i < 100 * 20; i++)
                screen.pixels[i] = __builtin_bswap32(screen.pixels[i]) >> 8;
        screen_draw(&screen, true);
        assert_int_equal(screen_encode(&screen, false), 0);
        screen_done(&screen);
}

static void test_new_size_is_a_keyframe(void **state) {
        Screen screen;
        EncodedFrame encoded;
        bool key = false;
        (void) state;

        screen_init(&screen, 100, 20);
        screen_draw(&screen, false);
        screen_encode(&screen, false);
        assert_return_code(encoder_prepare(screen.encoder, 0, 20, 100), 0);
        assert_int_equal(encoder_encode(screen.encoder, 0, false, &key, &encoded), 1);
        assert_true(key);
        assert_int_equal(encoder_prepare(screen.encoder, 0, 16385, 1), -EINVAL);
        assert_int_equal(encoder_prepare(screen.encoder, 64, 1, 1), -EINVAL);
        screen_done(&screen);
}

static void test_pictures_have_their_room(void **state) {
        Encoder *encoder;
        (void) state;

        assert_return_code(encoder_new(&encoder, 85), 0);
        for (uint32_t output = 0; output < 3; output++)
                assert_return_code(encoder_prepare(encoder, output, 7680, 4320), 0);
        assert_int_equal(encoder_prepare(encoder, 3, 1920, 1080), -ENOBUFS);
        /* The same is no more; what is gone, or was smaller, leaves its room. */
        assert_return_code(encoder_prepare(encoder, 1, 7680, 4320), 0);
        encoder_forget(encoder, 1);
        assert_return_code(encoder_prepare(encoder, 3, 1920, 1080), 0);
        assert_int_equal(encoder_prepare(encoder, 1, 7680, 4320), -ENOBUFS);
        assert_int_equal(encoder_prepare(encoder, 3, 8192, 8192), -ENOBUFS);
        assert_return_code(encoder_prepare(encoder, 1, 7680, 4320), 0);
        encoder_free(encoder);
}

static void test_a_part_of_the_output(void **state) {
        uint32_t pixels[4] = { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff };
        const PicturePlane plane = {
                .pixels = (const uint8_t *) pixels, .pitch = 8, .x = 69, .y = 3, .width = 2, .height = 2
        };
        Picture picture;
        (void) state;

        assert_return_code(picture_init(&picture, 71, 6), 0);
        memset(picture.pixels, 0x55, picture.stride * 8 * 4); /* what an older frame left */
        draw(&picture, &plane);
        for (uint32_t y = 0; y < 8; y++)
                for (uint32_t x = 0; x < 128; x++) {
                        uint32_t shown_x = x < 71 ? x : 70, shown_y = y < 6 ? y : 5;
                        bool white = shown_x >= 69 && shown_y >= 3 && shown_y < 5;
                        assert_int_equal(picture.pixels[y * picture.stride + x], white ? 0xffffff : 0);
                }
        picture_done(&picture);
}

/* Nothing is kept of a frame that no segment can hold, and the next is right against the one before. */
static void test_larger_than_any_segment(void **state) {
        const uint32_t width = 2560, height = 2560, n = width * height;
        EncodedFrame encoded;
        uint32_t row[64];
        Screen screen;
        bool key;
        (void) state;

        screen_init(&screen, width, height);
        encoder_free(screen.encoder);
        assert_return_code(encoder_new(&screen.encoder, 97), 0); /* two operations that fit each by itself */
        memset(screen.pixels, 0x40, n * sizeof(uint32_t));
        for (unsigned round = 0; round < 2; round++) {
                screen_draw(&screen, false);
                assert_true(screen_encode(&screen, round == 0) > 0);
                for (uint32_t i = 0; i < n; i++)
                        screen.pixels[i] = (uint32_t) rand();
                screen_draw(&screen, false);
                assert_int_equal(encoder_encode(screen.encoder, 0, round == 0, &key, &encoded), -EFBIG);
                /* As before but for one tile. */
                memset(screen.pixels, 0x40, n * sizeof(uint32_t));
                for (uint32_t x = 0; x < 64; x++)
                        row[x] = (uint32_t) rand();
                memcpy(screen.pixels + 9 * width + 128, row, sizeof(row));
        }
        screen_draw(&screen, false);
        assert_int_equal(screen_encode(&screen, false), 1);
        memcpy(screen.pixels + 9 * width + 640, row, sizeof(row)); /* named by its number */
        screen_draw(&screen, false);
        assert_int_equal(screen_encode(&screen, false), 1);
        assert_equals_reference(&screen);
        screen_done(&screen);
}

/* A film's frames are not looked up, but a window that comes back behind it is found. */
static void test_after_a_film(void **state) {
        const uint32_t n = 640 * 480;
        Screen screen;
        (void) state;

        screen_init(&screen, 640, 480);
        uint32_t *kept = malloc(n * sizeof(*kept));
        memcpy(kept, screen.pixels, n * sizeof(*kept));
        for (unsigned frame = 0; frame < 9; frame++) {
                screen_draw(&screen, false);
                (void) screen_encode(&screen, false);
                assert_equals_reference(&screen);
                for (uint32_t i = 0; i < n; i++)
                        screen.pixels[i] = (uint32_t) rand();
        }
        memcpy(screen.pixels, kept, n * sizeof(*kept));
        screen_draw(&screen, false);
        EncodedFrame encoded;
        bool key;
        assert_int_equal(encoder_encode(screen.encoder, 0, false, &key, &encoded), 1);
        assert_int_equal(encoded.n_new, 0);
        assert_int_equal(encoded.n_ref, 600);
        assert_int_equal(screen_encode(&screen, false), 600); /* again, as if it had not been written */
        assert_equals_reference(&screen);
        free(kept);
        screen_done(&screen);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_equals_a_whole_jpeg),
                cmocka_unit_test(test_only_changed_tiles),
                cmocka_unit_test(test_moves_and_repeats_are_exact),
                cmocka_unit_test(test_coarse_and_refined),
                cmocka_unit_test(test_larger_than_any_segment),
                cmocka_unit_test(test_unused_byte_is_no_change),
                cmocka_unit_test(test_other_order_of_colours),
                cmocka_unit_test(test_new_size_is_a_keyframe),
                cmocka_unit_test(test_pictures_have_their_room),
                cmocka_unit_test(test_a_part_of_the_output),
                cmocka_unit_test(test_after_a_film),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
