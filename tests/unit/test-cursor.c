/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "cursor-layer.h"
#include "segment-cursor.h"
#include "segment-reader.h"

#define WIDTH  90U
#define HEIGHT 50U
#define SIDE   256U

static uint8_t images[100][SIDE * SIDE * 4];

/* Premultiplied: no colour above alpha. */
static void make_images(void) {
        for (size_t i = 0; i < ELEMENTSOF(images); i++)
                for (size_t at = 0; at < sizeof(images[i]); at += 4) {
                        uint8_t alpha = rand() % 3 ? (uint8_t) rand() : rand() % 2 ? 255 : 0;
                        for (size_t c = 0; c < 3; c++)
                                images[i][at + c] = (uint8_t) (rand() % (alpha + 1));
                        images[i][at + 3] = alpha;
                }
}

static Cursor cursor_of(uint32_t image, int32_t x, int32_t y, uint32_t width, uint32_t height) {
        return (Cursor){ true, x, y, width, height, 1, 2, SIDE * 4, images[image] };
}

/* A segment with outputs 0 to n - 1. */
static void begin(SegmentWriter *writer, CursorLayer *layer, uint32_t n) {
        assert_return_code(segment_writer_init(writer, &(SegmentHead){}), 0);
        cursor_layer_restart(layer);
        for (uint32_t i = 0; i < n; i++)
                assert_return_code(
                                segment_writer_output(writer, &(SegmentOutput){ i, WIDTH, HEIGHT, 0, "" }),
                                0);
}

static uint8_t under(uint32_t x, uint32_t y, size_t colour) {
        return (uint8_t) (x * 3 + y * 5 + colour * 80);
}

static void fill(SegmentCanvas *canvas) {
        for (uint32_t y = 0; y < HEIGHT; y++)
                for (uint32_t x = 0; x < WIDTH; x++)
                        for (size_t c = 0; c < 3; c++)
                                canvas->pixels[y * canvas->stride + x * 4 + c] = under(x, y, c);
}

/* By each pixel of the picture, in floating point. */
static void assert_shows(const SegmentCanvas *canvas, const Cursor *cursor) {
        for (int32_t y = 0; y < (int32_t) HEIGHT; y++)
                for (int32_t x = 0; x < (int32_t) WIDTH; x++)
                        for (size_t c = 0; c < 3; c++) {
                                double wanted = under((uint32_t) x, (uint32_t) y, c);
                                int32_t column = x - cursor->x, row = y - cursor->y;
                                if (cursor->visible && column >= 0 && row >= 0 &&
                                    column < (int32_t) cursor->width && row < (int32_t) cursor->height) {
                                        const uint8_t *p = cursor->pixels + (size_t) row * cursor->pitch +
                                                           (size_t) column * 4;
                                        wanted = p[c] + wanted * (1 - p[3] / 255.0);
                                }
                                double shown = canvas->pixels[(size_t) y * canvas->stride + (size_t) x * 4 +
                                                              c];
                                if (shown - wanted > 0.51 || wanted - shown > 0.51)
                                        fail_msg("%i, %i: %g instead of %g", x, y, shown, wanted);
                        }
}

/* The layer is told whatever; what a reader draws is what was told. */
static void test_shown_as_told(void **state) {
        CursorLayer *layer = NULL;
        (void) state;

        assert_return_code(cursor_layer_new(&layer), 0);
        for (unsigned segment = 0; segment < 6; segment++) {
                static Cursor told[500];
                static uint32_t outputs[500];
                bool written[500] = {};
                SegmentCursors cursors = {};
                SegmentCanvas canvas;
                SegmentReader reader;
                SegmentWriter writer;
                SegmentChunk chunk;
                unsigned n_images = 0, n_positions = 0;
                int r;

                begin(&writer, layer, 3);
                for (unsigned i = 0; i < ELEMENTSOF(told); i++) {
                        /* One stays as it is, while all ids are used up. */
                        outputs[i] = i > 0 ? (uint32_t) rand() % (segment % 2 ? 2 : 3) : 2;
                        told[i] = cursor_of((uint32_t) rand() % (segment % 2 ? 100 : 5), rand() % 100 - 10,
                                            rand() % 60 - 10, 11 + (uint32_t) rand() % 3 * 9, 24);
                        told[i].visible = i == 0 || rand() % 4 > 0;
                        if (rand() % 3 == 0 && i > 1) {
                                told[i] = told[i - 1];
                                outputs[i] = outputs[i - 1];
                        }
                        assert_return_code(cursor_layer_set(layer, outputs[i], WIDTH, HEIGHT, &told[i]), 0);
                        r = cursor_layer_write(layer, &writer, outputs[i], i);
                        assert_return_code(r, 0);
                        written[i] = r;
                        assert_int_equal(cursor_layer_write(layer, &writer, outputs[i], i), 0);
                }
                assert_return_code(segment_writer_finish(&writer, ELEMENTSOF(told)), 0);

                assert_return_code(segment_canvas_init(&canvas, WIDTH, HEIGHT), 0);
                fill(&canvas);
                segment_reader_init(&reader, writer.buffer.data, writer.buffer.size);
                while ((r = segment_reader_next(&reader, &chunk)) > 0) {
                        if (chunk.type == SEGMENT_CIMG) {
                                n_images++;
                                assert_return_code(segment_cursors_add(&cursors, &chunk.cursor_image), 0);
                                assert_int_equal(chunk.cursor_image.hot_y, 2);
                        } else if (chunk.type == SEGMENT_CPOS) {
                                const Cursor *wanted = &told[chunk.cursor.time];
                                n_positions++;
                                assert_true(written[chunk.cursor.time]);
                                assert_int_equal(chunk.cursor.output, outputs[chunk.cursor.time]);
                                assert_return_code(segment_cursors_show(&cursors, &chunk.cursor, &canvas),
                                                   0);
                                if (chunk.cursor.visible)
                                        assert_shows(&canvas, wanted);
                                segment_cursors_hide(&cursors, &canvas);
                                assert_shows(&canvas, &(Cursor){});
                        }
                }
                assert_int_equal(r, 0);
                if (n_images < (segment % 2 ? 100 : 5) || (segment % 2 == 0 && n_images > 15) ||
                    n_positions < 200)
                        fail_msg("%u images, %u positions", n_images, n_positions);
                segment_canvas_done(&canvas);
                segment_cursors_done(&cursors);
                segment_writer_done(&writer);
        }
        cursor_layer_free(layer);
}

/* Out of the format's bounds, or of the picture: none is shown. */
static void test_out_of_bounds_is_hidden(void **state) {
        static const struct {
                int32_t x, y;
                uint32_t width, height;
                bool shown;
        } cases[] = {
                { 0, 0, 1, 1, true },
                { 89, 49, 24, 24, true },
                { -23, -23, 24, 24, true },
                { 90, 0, 24, 24, false },
                { 0, 50, 24, 24, false },
                { -24, 0, 24, 24, false },
                { 0, -24, 24, 24, false },
                { 0, 0, 256, 256, true },
                { 0, 0, 257, 1, false },
                { 0, 0, 1, 257, false },
                { 0, 0, 0, 1, false },
                { INT32_MIN, 0, 24, 24, false },
                { INT32_MAX, 0, 24, 24, false },
                { 0, INT32_MIN, 24, 24, false },
        };
        CursorLayer *layer = NULL;
        (void) state;

        assert_return_code(cursor_layer_new(&layer), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Cursor cursor = cursor_of(0, cases[i].x, cases[i].y, cases[i].width, cases[i].height);
                SegmentWriter writer;

                begin(&writer, layer, 1);
                assert_return_code(cursor_layer_set(layer, 0, WIDTH, HEIGHT, &cursor), 0);
                assert_int_equal(cursor_layer_write(layer, &writer, 0, 0), cases[i].shown);
                segment_writer_done(&writer);
        }
        cursor_layer_free(layer);
}

static int read_all(const Buffer *buffer) {
        SegmentReader reader;
        SegmentChunk chunk;
        int r;

        segment_reader_init(&reader, buffer->data, buffer->size);
        while ((r = segment_reader_next(&reader, &chunk)) > 0)
                ;
        return r;
}

/* Cut at every byte: whole chunks, then "cut short". */
static void test_cut_anywhere(void **state) {
        CursorLayer *layer = NULL;
        SegmentWriter writer;
        (void) state;

        assert_return_code(cursor_layer_new(&layer), 0);
        begin(&writer, layer, 2);
        for (uint32_t i = 0; i < 6; i++) {
                Cursor cursor = cursor_of(i % 3, 5, (int32_t) i, 9, 9);
                assert_return_code(cursor_layer_set(layer, i % 2, WIDTH, HEIGHT, &cursor), 0);
                assert_int_equal(cursor_layer_write(layer, &writer, i % 2, i), 1);
        }
        assert_return_code(segment_writer_finish(&writer, 9), 0);
        assert_int_equal(read_all(&writer.buffer), 0);
        for (size_t size = 0; size < writer.buffer.size; size++) {
                Buffer cut = { .data = malloc(size + 1), .size = size };
                memcpy(cut.data, writer.buffer.data, size);
                assert_int_equal(read_all(&cut), -ENODATA);
                free(cut.data);
        }
        segment_writer_done(&writer);
        cursor_layer_free(layer);
}

static int with_position(SegmentCursor cursor) {
        SegmentWriter writer;

        assert_return_code(segment_writer_init(&writer, &(SegmentHead){}), 0);
        assert_return_code(segment_writer_output(&writer, &(SegmentOutput){ 1, 8, 8, 0, "" }), 0);
        assert_return_code(segment_writer_cursor_image(&writer,
                                                       &(SegmentCursorImage){ 3, 1, 1, 0, 0,
                                                                              (const uint8_t *) "xx", 2 }),
                           0);
        assert_return_code(segment_writer_cursor(&writer, &cursor), 0);
        assert_return_code(segment_writer_finish(&writer, 9), 0);
        int r = read_all(&writer.buffer);
        segment_writer_done(&writer);
        return r;
}

static void test_reader_refuses(void **state) {
        (void) state;
        assert_int_equal(with_position((SegmentCursor){ 1, true, 0, -32768, 32767, 3 }), 0);
        assert_int_equal(with_position((SegmentCursor){ 1, false, 0, 0, 0, 0 }), 0);
        assert_int_equal(with_position((SegmentCursor){ 0, true, 0, 0, 0, 3 }), -EBADMSG);
        assert_int_equal(with_position((SegmentCursor){ 64, true, 0, 0, 0, 3 }), -EBADMSG);
        assert_int_equal(with_position((SegmentCursor){ 1, true, 0, 0, 0, 2 }), -EBADMSG);
        assert_int_equal(with_position((SegmentCursor){ 1, true, 0, 0, 0, 67 }), -EBADMSG);
        assert_int_equal(with_position((SegmentCursor){ 1, true, 0, -32769, 0, 3 }), -EBADMSG);
        assert_int_equal(with_position((SegmentCursor){ 1, true, 0, 0, 32768, 3 }), -EBADMSG);
        assert_int_equal(with_position((SegmentCursor){ 1, false, 0, 1, 0, 0 }), -EBADMSG);
}

/* As many bytes as its size says, and no more behind them. */
static void test_damaged_image(void **state) {
        static const uint8_t pixels[20] = { 1, 2, 3, 4 };
        SegmentCursors cursors = {};
        uint8_t data[64] = {};
        uLongf size = sizeof(data);
        (void) state;

        assert_int_equal(compress(data, &size, pixels, sizeof(pixels)), Z_OK);
        SegmentCursorImage image = { 0, 5, 1, 0, 0, data, size };
        assert_return_code(segment_cursors_add(&cursors, &image), 0);
        for (size_t i = 0; i < 4; i++) {
                SegmentCursorImage bad = image;
                bad.width += i == 0;
                bad.width -= i == 1;
                bad.size += i == 2;
                bad.size -= i == 3;
                assert_int_equal(segment_cursors_add(&cursors, &bad), -EBADMSG);
        }
        segment_cursors_done(&cursors);
}

static int setup(void **state) {
        (void) state;
        make_images();
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shown_as_told), cmocka_unit_test(test_out_of_bounds_is_hidden),
                cmocka_unit_test(test_cut_anywhere),  cmocka_unit_test(test_reader_refuses),
                cmocka_unit_test(test_damaged_image),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
