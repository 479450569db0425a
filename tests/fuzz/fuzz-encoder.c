/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a program that paints, scrolls, changes modes and takes frames on two outputs, below
 * ceilings. Each frame must pass the reader's checks, and what is decoded from it must be what the reference
 * shows. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "encoder.h"
#include "fuzz.h"
#include "rate.h"
#include "reference.h"
#include "segment-writer.h"

#define INTERVAL 200000U
/* Small, for speed, and more tiles than the encoder calls many. */
#define WIDTH_MAX  200U
#define HEIGHT_MAX 144U

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

/* An output, and the framebuffer that is seen on a part of it. */
typedef struct Screen {
        uint32_t id, width, height;
        uint32_t left, top, fb_width, fb_height;
        size_t pitch;     /* pixels */
        uint32_t *memory; /* the framebuffer's */
        uint32_t *shown;  /* what the output shows: width × height */
        bool key;         /* the next frame must be one */
        SegmentCanvas canvas;
        Reference reference;
} Screen;

typedef struct Desk {
        Encoder *encoder;
        SegmentWriter writer;
        Rate rate;
        SegmentRate rate_written;
        uint64_t time;
        Screen screens[2];
} Desk;

static void check(bool good, const char *what) {
        if (!good) {
                fprintf(stderr, "%s\n", what);
                abort();
        }
}

static void screen_done(Screen *screen) {
        free(screen->memory);
        free(screen->shown);
        segment_canvas_done(&screen->canvas);
        reference_done(&screen->reference);
}

/* Another mode, or the same, with the framebuffer in another place. */
static void set_mode(Desk *desk, Screen *screen, Input *input) {
        uint32_t id = screen->id, width = 1 + take(input, 2) % WIDTH_MAX,
                 height = 1 + take(input, 1) % HEIGHT_MAX;
        bool whole = take(input, 1) % 2;

        screen_done(screen);
        *screen = (Screen){ .id = id, .width = width, .height = height, .key = true };
        screen->left = whole ? 0 : take(input, 2) % width;
        screen->top = whole ? 0 : take(input, 1) % height;
        screen->fb_width = whole ? width : 1 + take(input, 2) % (width - screen->left);
        screen->fb_height = whole ? height : 1 + take(input, 1) % (height - screen->top);
        screen->pitch = screen->fb_width + take(input, 1) % 40;
        size_t size = (screen->pitch * screen->fb_height * 4 + 63) / 64 * 64;
        screen->memory = aligned_alloc(64, size); /* for streaming loads, if the pitch is right too */
        screen->shown = calloc((size_t) width * height, 4);
        if (!screen->memory || !screen->shown || encoder_prepare(desk->encoder, id, width, height) < 0 ||
            segment_canvas_init(&screen->canvas, width, height) < 0)
                abort();
        memset(screen->memory, 0, size);
        reference_init(&screen->reference, width, height);
        screen->canvas.coarse = screen->reference.coarse = encoder_coarse_tables(desk->encoder);
        const SegmentOutput output = { id, width, height, 0, "" };
        check(segment_writer_output(&desk->writer, &output) >= 0, "an output cannot be written");
}

static void paint(Screen *screen, Input *input, uint32_t what) {
        uint32_t x = take(input, 2) % screen->fb_width, y = take(input, 1) % screen->fb_height;
        uint32_t width = 1 + take(input, 2) % (screen->fb_width - x),
                 height = 1 + take(input, 1) % (screen->fb_height - y);
        uint32_t value = take(input, 2), state = value | 1;

        for (uint32_t row = y; row < y + height; row++)
                for (uint32_t column = x; column < x + width; column++) {
                        state = state * 1664525 + 1013904223;
                        screen->memory[row * screen->pitch + column] = what % 2 ? value * 0x10101 : state;
                }
}

static void scroll(Screen *screen, Input *input, bool sideways) {
        uint32_t shift = 1 + take(input, 1) % 60, y = take(input, 1) % screen->fb_height;
        uint32_t height = 1 + take(input, 1) % (screen->fb_height - y), width = screen->fb_width;
        uint32_t *row = screen->memory + y * screen->pitch;

        if (sideways && shift < width)
                for (; height > 0; height--, row += screen->pitch)
                        memmove(row, row + shift, (width - shift) * 4);
        else if (!sideways && shift < height)
                memmove(row, row + shift * screen->pitch,
                        ((size_t) (height - shift - 1) * screen->pitch + width) * 4);
}

/* A window is dragged: what is in a rectangle is shown elsewhere as well. */
static void drag(Screen *screen, Input *input) {
        uint32_t x = take(input, 2) % screen->fb_width, y = take(input, 1) % screen->fb_height;
        uint32_t to_x = take(input, 2) % screen->fb_width, to_y = take(input, 1) % screen->fb_height;
        uint32_t width = screen->fb_width - (x > to_x ? x : to_x),
                 height = screen->fb_height - (y > to_y ? y : to_y);

        for (uint32_t i = 0; i < height; i++) {
                uint32_t row = to_y > y ? height - 1 - i : i;
                memmove(screen->memory + (to_y + row) * screen->pitch + to_x,
                        screen->memory + (y + row) * screen->pitch + x, width * 4);
        }
}

static void see(Screen *screen, bool swap) {
        memset(screen->shown, 0, (size_t) screen->width * screen->height * 4);
        for (uint32_t y = 0; y < screen->fb_height; y++)
                for (uint32_t x = 0; x < screen->fb_width; x++) {
                        uint32_t pixel = screen->memory[y * screen->pitch + x];
                        screen->shown[(screen->top + y) * screen->width + screen->left + x] =
                                        swap ? __builtin_bswap32(pixel) >> 8 : pixel;
                }
}

/* As uploadd does: the ceilings have a say, and what they did is written. */
static bool may_write(Desk *desk, const EncodedFrame *encoded, bool must) {
        uint64_t work = (encoded->n_new + encoded->n_coarse) *
                        UINT64_C(20000); /* nanoseconds, the same each time */
        SegmentRate rate;

        if (!rate_take(&desk->rate, desk->time, encoded->operations->size, work, must))
                return false;
        if (rate_news(&desk->rate, &desk->rate_written, desk->time, &rate)) {
                check(segment_writer_rate(&desk->writer, &rate) >= 0, "the rate cannot be written");
                desk->rate_written = rate;
        }
        return true;
}

static void take_frame(Desk *desk, Screen *screen, Input *input) {
        uint32_t how = take(input, 1);
        const PicturePlane plane = { .pixels = (const uint8_t *) screen->memory,
                                     .pitch = screen->pitch * 4,
                                     .swap = how & 1,
                                     .x = screen->left,
                                     .y = screen->top,
                                     .width = screen->fb_width,
                                     .height = screen->fb_height,
                                     .write_combined = how & 2 };
        bool key = screen->key || how % 16 == 15, is_key;
        SegmentTables tables = encoder_tables(desk->encoder);
        EncodedFrame encoded;

        desk->time += INTERVAL;
        if (desk->time < desk->rate.next && !key)
                return;
        see(screen, plane.swap);
        encoder_set_coarse(desk->encoder, desk->rate.coarse || how & 64);
        (void) encoder_draw(desk->encoder, screen->id, &plane);
        check(encoder_encode(desk->encoder, screen->id, key, &is_key, &encoded) >= 0,
              "a frame cannot be encoded");
        if (!may_write(desk, &encoded, key) || how & 128)
                return;
        SegmentFrame frame = { .output = screen->id,
                               .flags = is_key ? SEGMENT_FRAME_KEY : 0,
                               .time = desk->time,
                               .n_operations = encoded.n_operations,
                               .operations = encoded.operations->data,
                               .operations_size = encoded.operations->size };
        if (segment_writer_frame(&desk->writer, &frame) < 0)
                return;
        encoder_keep(desk->encoder, screen->id);
        screen->key = false;
        check(segment_canvas_draw(&screen->canvas, &tables, &frame) >= 0, "a frame cannot be decoded");
        const char *why = reference_frame(&screen->reference, screen->shown, &tables, &frame);
        check(!why, why);
        check(reference_equal(&screen->reference, &screen->canvas), "a frame is not as the reference");
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

static void begin(Desk *desk, Input *input) {
        const RateLimits limits = { INTERVAL, UINT64_C(64) * take(input, 2), take(input, 1) };
        SegmentTables tables, coarse;

        if (encoder_new(&desk->encoder, 85) < 0 || segment_writer_init(&desk->writer, &(SegmentHead){}) < 0)
                abort();
        tables = encoder_tables(desk->encoder);
        coarse = encoder_coarse_tables(desk->encoder);
        check(segment_writer_tables(&desk->writer, tables.data, tables.size) >= 0 &&
                              segment_writer_coarse_tables(&desk->writer, coarse.data, coarse.size) >= 0,
              "the segment cannot be begun");
        rate_init(&desk->rate, &limits, 0);
        desk->rate_written.interval = INTERVAL;
        desk->screens[1].id = SEGMENT_OUTPUT_MAX - 1;
        for (size_t i = 0; i < ELEMENTSOF(desk->screens); i++)
                set_mode(desk, &desk->screens[i], input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input input = { data, size };
        Desk desk = {};

        begin(&desk, &input);
        for (unsigned steps = 0; input.size > 0 && steps < 60; steps++) {
                uint32_t what = take(&input, 1);
                Screen *screen = &desk.screens[what >> 7];
                if (what % 4 == 0)
                        take_frame(&desk, screen, &input);
                else if (what % 4 == 1)
                        scroll(screen, &input, what & 32);
                else if (what % 64 == 10)
                        drag(screen, &input);
                else if (what % 64 == 2)
                        set_mode(&desk, screen, &input);
                else if (what % 64 == 6)
                        desk.time += take(&input, 2) * UINT64_C(1000);
                else
                        paint(screen, &input, what >> 2);
        }
        for (size_t i = 0; i < ELEMENTSOF(desk.screens); i++)
                take_frame(&desk, &desk.screens[i], &input);
        check(segment_writer_finish(&desk.writer, desk.time) >= 0, "the segment cannot be finished");
        read_again(&desk);

        for (size_t i = 0; i < ELEMENTSOF(desk.screens); i++)
                screen_done(&desk.screens[i]);
        encoder_free(desk.encoder);
        segment_writer_done(&desk.writer);
        return 0;
}
