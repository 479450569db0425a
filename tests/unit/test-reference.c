/* SPDX-License-Identifier: Apache-2.0 */

/* The reference against an encoder that forgets: each operation, and each of its runs, is left out in turn
 * of a frame that is right with it. What is left is no longer what the source shows, and the reference says
 * so, though a canvas that draws the same frame shows the same pixels. */

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "encoder.h"
#include "reference.h"
#include "segment-writer.h"

#define WIDTH  300U
#define HEIGHT 120U

static uint32_t source[HEIGHT * WIDTH];
static Encoder *encoder;
static SegmentCanvas canvas;
static Reference reference;
static Buffer kept = { .max = SEGMENT_SIZE_MAX }; /* the operations of the frame */

static SegmentFrame encode(bool coarse) {
        const PicturePlane plane = {
                .pixels = (const uint8_t *) source, .pitch = WIDTH * 4, .width = WIDTH, .height = HEIGHT
        };
        EncodedFrame encoded;
        bool key;

        assert_return_code(encoder_prepare(encoder, 0, WIDTH, HEIGHT), 0);
        (void) encoder_draw(encoder, 0, &plane);
        encoder_set_coarse(encoder, coarse);
        assert_true(encoder_encode(encoder, 0, false, &key, &encoded) >= 0);
        encoder_keep(encoder, 0);
        kept.size = 0;
        assert_return_code(buffer_append(&kept, encoded.operations->data, encoded.operations->size), 0);
        return (SegmentFrame){ .flags = key ? SEGMENT_FRAME_KEY : 0,
                               .n_operations = encoded.n_operations,
                               .operations = kept.data,
                               .operations_size = kept.size };
}

/* Writes an operation again without one of its runs; false: there is nothing left. */
static bool write_without(Buffer *to, const SegmentOperation *operation, uint32_t left_out) {
        SegmentRun runs[256];
        SegmentRefRun refs[256];
        SegmentMove moves[256];
        uint32_t n = 0;
        int r;

        assert_in_range(operation->n_runs, 1, 256);
        for (uint32_t i = 0; i < operation->n_runs; i++) {
                if (i == left_out)
                        continue;
                if (operation->kind == SEGMENT_OPERATION_MOVE)
                        moves[n++] = segment_operation_move(operation, i);
                else if (operation->kind == SEGMENT_OPERATION_REF)
                        refs[n++] = segment_operation_ref_run(operation, i);
                else
                        runs[n++] = segment_operation_run(operation, i);
        }
        if (n == 0)
                return false;
        if (operation->kind == SEGMENT_OPERATION_MOVE)
                r = segment_operation_moves(to, moves, n);
        else if (operation->kind == SEGMENT_OPERATION_REF)
                r = segment_operation_ref(to, refs, n);
        else
                r = segment_operation_tiles(to, operation->kind, runs, n, operation->data, operation->size);
        assert_return_code(r, 0);
        return true;
}

/* The frame without the run-th run of its operation-th operation. *ret_kind: of that operation. False: there
 * is no such run. */
static bool leave_out(const SegmentFrame *frame, unsigned number, uint32_t run, Buffer *to,
                      SegmentFrame *ret, enum segment_operation *ret_kind) {
        SegmentOperation operation;
        size_t position = 0;
        bool found = false;

        to->size = 0;
        *ret = *frame;
        ret->n_operations = 0;
        for (unsigned i = 0; segment_frame_next(frame, &position, &operation) > 0; i++) {
                bool here = i == number && run < operation.n_runs;
                found |= here;
                if (here)
                        *ret_kind = operation.kind;
                ret->n_operations += write_without(to, &operation, here ? run : UINT32_MAX);
        }
        ret->operations = to->data;
        ret->operations_size = to->size;
        return found;
}

static void copy_reference(Reference *to, const Reference *from) {
        size_t size = (size_t) WIDTH * HEIGHT * 4;

        reference_init(to, WIDTH, HEIGHT);
        memcpy(to->pixels, from->pixels, size);
        memcpy(to->came, from->came, size);
        to->coarse = from->coarse;
}

/* Tries the frame without each of its runs, then as it is. Counts by kind what was left out. */
static void try_frame(const SegmentFrame *frame, unsigned counts[static 5]) {
        SegmentTables tables = encoder_tables(encoder);
        Buffer buffer = { .max = SEGMENT_SIZE_MAX };
        enum segment_operation kind = 0;
        SegmentFrame less;
        const char *why;

        for (unsigned number = 0; number < frame->n_operations; number++)
                for (uint32_t run = 0; leave_out(frame, number, run, &buffer, &less, &kind); run++) {
                        Reference copy;
                        copy_reference(&copy, &reference);
                        why = reference_frame(&copy, source, &tables, &less);
                        if (!why)
                                fail_msg("run %u of operation %u, of kind %u, is not missed", run, number,
                                         kind);
                        counts[kind]++;
                        reference_done(&copy);
                }
        assert_return_code(segment_canvas_draw(&canvas, &tables, frame), 0);
        why = reference_frame(&reference, source, &tables, frame);
        if (why)
                fail_msg("%s", why);
        assert_true(reference_equal(&reference, &canvas));
        buffer_done(&buffer);
}

static void noise(uint32_t left, uint32_t top, uint32_t width, uint32_t height) {
        for (uint32_t y = top; y < top + height; y++)
                for (uint32_t x = left; x < left + width; x++)
                        source[y * WIDTH + x] = (uint32_t) rand();
}

static void test_what_is_left_out_is_noticed(void **state) {
        unsigned counts[5] = {};
        SegmentFrame frame;
        (void) state;

        assert_return_code(encoder_new(&encoder, 85), 0);
        assert_return_code(segment_canvas_init(&canvas, WIDTH, HEIGHT), 0);
        reference_init(&reference, WIDTH, HEIGHT);
        canvas.coarse = reference.coarse = encoder_coarse_tables(encoder);
        noise(0, 0, WIDTH, HEIGHT);
        memset(source, 0, sizeof(source[0]) * WIDTH * 8); /* alike: REF in the keyframe */
        frame = encode(false);
        try_frame(&frame, counts);

        memmove(source + WIDTH * 8, source + WIDTH * 21, sizeof(source[0]) * WIDTH * 99);
        memset(source + WIDTH * 112, 0, sizeof(source[0]) * WIDTH * 8);
        frame = encode(false);
        try_frame(&frame, counts);

        for (unsigned i = 0; i < 6; i++) { /* fast enough to be coarse, then a part of it moves */
                noise(64, 40, 128, 16);
                frame = encode(true);
                try_frame(&frame, counts);
        }
        memmove(source + WIDTH * 30, source + WIDTH * 33, sizeof(source[0]) * WIDTH * 60);
        frame = encode(true);
        try_frame(&frame, counts);
        assert_true(counts[SEGMENT_OPERATION_NEW] > 1);
        assert_true(counts[SEGMENT_OPERATION_REF] > 1);
        assert_true(counts[SEGMENT_OPERATION_MOVE] > 1);
        assert_true(counts[SEGMENT_OPERATION_COARSE] > 1);

        /* A frame is not there at all. */
        source[WIDTH * 50 + 70] ^= 1;
        SegmentTables tables = encoder_tables(encoder);
        assert_non_null(reference_frame(&reference, source, &tables, &(SegmentFrame){}));

        reference_done(&reference);
        segment_canvas_done(&canvas);
        encoder_free(encoder);
        buffer_done(&kept);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_left_out_is_noticed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
