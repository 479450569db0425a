/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a program that paints, scrolls and takes frames. Each frame must pass the reader's checks,
 * and what is decoded from it must be what the reference shows. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder.h"
#include "fuzz.h"
#include "reference.h"
#include "segment-writer.h"

typedef struct Input {
        const uint8_t *data;
        size_t size;
} Input;

static uint32_t take(Input *input, uint32_t bytes) {
        uint32_t value = 0;

        for (; bytes > 0 && input->size > 0; bytes--, input->size--)
                value = value << 8 | *input->data++;
        return value;
}

typedef struct Desk {
        uint32_t width, height;
        uint32_t *pixels;
        Encoder *encoder;
        SegmentWriter writer;
        SegmentCanvas canvas;
        Reference reference;
} Desk;

static void check(bool good, const char *what) {
        if (!good) {
                fprintf(stderr, "%s\n", what);
                abort();
        }
}

static void paint(Desk *desk, Input *input, uint32_t what) {
        uint32_t x = take(input, 2) % desk->width, y = take(input, 1) % desk->height;
        uint32_t width = 1 + take(input, 2) % (desk->width - x),
                 height = 1 + take(input, 1) % (desk->height - y);
        uint32_t value = take(input, 2), state = value | 1;

        for (uint32_t row = y; row < y + height; row++)
                for (uint32_t column = x; column < x + width; column++) {
                        state = state * 1664525 + 1013904223;
                        desk->pixels[row * desk->width + column] = what % 2 ? value * 0x10101 : state;
                }
}

static void scroll(Desk *desk, Input *input, bool sideways) {
        uint32_t shift = 1 + take(input, 1) % 60, y = take(input, 1) % desk->height;
        uint32_t height = 1 + take(input, 1) % (desk->height - y), width = desk->width;

        if (sideways && shift < width)
                for (uint32_t row = y; row < y + height; row++)
                        memmove(desk->pixels + row * width, desk->pixels + row * width + shift,
                                (width - shift) * 4);
        else if (!sideways && shift < height)
                memmove(desk->pixels + y * width, desk->pixels + (y + shift) * width,
                        (size_t) (height - shift) * width * 4);
}

/* A window is dragged: what is in a rectangle is shown elsewhere as well. */
static void drag(Desk *desk, Input *input) {
        uint32_t x = take(input, 2) % desk->width, y = take(input, 1) % desk->height;
        uint32_t to_x = take(input, 2) % desk->width, to_y = take(input, 1) % desk->height;
        uint32_t right = x > to_x ? x : to_x, bottom = y > to_y ? y : to_y;

        for (uint32_t i = 0; i < desk->height - bottom; i++) {
                uint32_t row = to_y > y ? desk->height - bottom - 1 - i : i;
                memmove(desk->pixels + (to_y + row) * desk->width + to_x,
                        desk->pixels + (y + row) * desk->width + x, (desk->width - right) * 4);
        }
}

static void take_frame(Desk *desk, bool key, bool keep, bool write_combined) {
        const PicturePlane plane = { .pixels = (const uint8_t *) desk->pixels,
                                     .pitch = desk->width * 4,
                                     .write_combined = write_combined,
                                     .width = desk->width,
                                     .height = desk->height };
        SegmentTables tables = encoder_tables(desk->encoder);
        EncodedFrame encoded;
        bool is_key;

        (void) encoder_draw(desk->encoder, 0, &plane);
        check(encoder_encode(desk->encoder, 0, key, &is_key, &encoded) >= 0, "a frame cannot be encoded");
        if (!keep)
                return;
        SegmentFrame frame = { .flags = is_key ? SEGMENT_FRAME_KEY : 0,
                               .n_operations = encoded.n_operations,
                               .operations = encoded.operations->data,
                               .operations_size = encoded.operations->size };
        if (segment_writer_frame(&desk->writer, &frame) < 0)
                return;
        encoder_keep(desk->encoder, 0);
        check(segment_canvas_draw(&desk->canvas, &tables, &frame) >= 0, "a frame cannot be decoded");
        const char *why = reference_frame(&desk->reference, desk->pixels, &tables, &frame);
        check(!why, why);
        check(reference_equal(&desk->reference, &desk->canvas), "a frame is not as the reference");
}

static void read_again(const Desk *desk) {
        static SegmentReader reader;
        SegmentChunk chunk;
        int r;

        segment_reader_init(&reader, desk->writer.buffer.data, desk->writer.buffer.size);
        while ((r = segment_reader_next(&reader, &chunk)) > 0)
                ;
        check(r == 0, reader.error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input input = { data, size };
        Desk desk = { .width = 1 + take(&input, 2) % 600, .height = 1 + take(&input, 1) };
        SegmentTables tables;

        size_t size_aligned = ((size_t) desk.width * desk.height * 4 + 63) / 64 * 64;
        desk.pixels = aligned_alloc(64, size_aligned); /* for streaming loads */
        if (desk.pixels)
                memset(desk.pixels, 0, size_aligned);
        if (!desk.pixels || encoder_new(&desk.encoder, 85) < 0 ||
            encoder_prepare(desk.encoder, 0, desk.width, desk.height) < 0 ||
            segment_canvas_init(&desk.canvas, desk.width, desk.height) < 0 ||
            segment_writer_init(&desk.writer, &(SegmentHead){}) < 0)
                abort();
        reference_init(&desk.reference, desk.width, desk.height);
        desk.canvas.coarse = desk.reference.coarse = encoder_coarse_tables(desk.encoder);
        tables = encoder_tables(desk.encoder);
        check(segment_writer_tables(&desk.writer, tables.data, tables.size) >= 0 &&
                              segment_writer_coarse_tables(&desk.writer, desk.canvas.coarse.data,
                                                           desk.canvas.coarse.size) >= 0 &&
                              segment_writer_output(&desk.writer,
                                                    &(SegmentOutput){ 0, desk.width, desk.height, 0, "" }) >=
                                              0,
              "the segment cannot be begun");
        for (unsigned steps = 0; input.size > 0 && steps < 60; steps++) {
                uint32_t what = take(&input, 1);
                encoder_set_coarse(desk.encoder, what & 16);
                if (what % 4 == 0)
                        take_frame(&desk, what % 32 == 0, what % 64 != 4, what & 128);
                else if (what % 4 == 1 && what & 32)
                        drag(&desk, &input);
                else if (what % 4 == 1)
                        scroll(&desk, &input, what & 64);
                else
                        paint(&desk, &input, what >> 2);
        }
        take_frame(&desk, false, true, true);
        check(segment_writer_finish(&desk.writer, 0) >= 0, "the segment cannot be finished");
        read_again(&desk);

        free(desk.pixels);
        encoder_free(desk.encoder);
        segment_writer_done(&desk.writer);
        segment_canvas_done(&desk.canvas);
        reference_done(&desk.reference);
        return 0;
}
