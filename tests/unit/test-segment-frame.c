/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "segment-frame.h"
#include "segment-writer.h"

/* Operations of frames, each right but for one thing. A picture of 200 × 50 pixels, 4 × 7 tiles, 10 tiles
 * sent. */
#define WIDTH  200U
#define HEIGHT 50U
#define SENT   10U

static const char *refused;

static int check_sent(Buffer *operations, uint32_t n_operations, uint32_t flags, uint32_t *n_new) {
        static uint8_t drawn[(SEGMENT_PICTURE_TILES_MAX + 7) / 8];
        const SegmentFrame frame = { .flags = flags,
                                     .n_operations = n_operations,
                                     .operations = operations->data,
                                     .operations_size = operations->size };
        int r;

        refused = NULL;
        r = segment_frame_check(&frame, WIDTH, HEIGHT, drawn, n_new, &refused);
        buffer_done(operations);
        return r;
}

static int check(Buffer *operations, uint32_t n_operations, uint32_t flags) {
        uint32_t n_new = SENT;
        return check_sent(operations, n_operations, flags, &n_new);
}

static int check_ref(const SegmentRefRun *runs, uint32_t n) {
        Buffer operations = { .max = SEGMENT_SIZE_MAX };

        assert_return_code(segment_operation_ref(&operations, runs, n), 0);
        return check(&operations, 1, 0);
}

static int check_moves(const SegmentMove *moves, uint32_t n) {
        Buffer operations = { .max = SEGMENT_SIZE_MAX };

        assert_return_code(segment_operation_moves(&operations, moves, n), 0);
        return check(&operations, 1, 0);
}

#define REF(...)                                                                                            \
        check_ref((const SegmentRefRun[]){ __VA_ARGS__ }, ELEMENTSOF(((SegmentRefRun[]){ __VA_ARGS__ })))
#define MOVE(...) check_moves(&(SegmentMove){ __VA_ARGS__ }, 1)

static void test_ref(void **state) {
        (void) state;

        assert_return_code(REF({ 0, 10, 0, false }), 0);
        assert_return_code(REF({ 0, 28, 9, true }), 0);
        assert_return_code(REF({ 27, 1, 9, false }, { 0, 27, 0, true }), 0);
        assert_int_equal(REF({ 0, 1, 10, false }), -EBADMSG);
        assert_string_equal(refused, "a REF operation names a tile that was never sent");
        assert_int_equal(REF({ 0, 2, 9, false }), -EBADMSG);
        assert_int_equal(REF({ 0, 11, 0, false }), -EBADMSG);
        assert_int_equal(REF({ 0, 1, UINT32_MAX, false }), -EBADMSG);
        assert_int_equal(REF({ 0, 0, 0, false }), -EBADMSG);
        assert_string_equal(refused, "a run of tiles is out of range");
        assert_int_equal(REF({ 28, 1, 0, false }), -EBADMSG);
        assert_int_equal(REF({ 27, 2, 0, false }), -EBADMSG);
        assert_int_equal(REF({ 1, 0x7fffffff, 0, true }), -EBADMSG);
        assert_int_equal(REF({ 0, 3, 0, false }, { 2, 1, 0, false }), -EBADMSG);
        assert_string_equal(refused, "a tile is drawn twice");
}

static void test_ref_window(void **state) {
        (void) state;

        for (uint32_t number = 0; number < 3; number++) {
                Buffer operations = { .max = SEGMENT_SIZE_MAX };
                const SegmentRefRun run = { 0, 1, number, false };
                uint32_t n_new = SEGMENT_DICTIONARY_TILES + 1;
                assert_return_code(segment_operation_ref(&operations, &run, 1), 0);
                assert_int_equal(check_sent(&operations, 1, 0, &n_new), number < 1 ? -EBADMSG : 0);
                assert_int_equal(n_new, SEGMENT_DICTIONARY_TILES + 1);
        }
}

static void test_move(void **state) {
        (void) state;

        assert_return_code(MOVE(0, 0, 200, 50, 0, 0), 0);
        assert_return_code(MOVE(199, 49, 1, 1, 0, 0), 0);
        assert_int_equal(MOVE(0, 0, 201, 50, 0, 0), -EBADMSG);
        assert_string_equal(refused, "a MOVE operation goes over the edge");
        assert_int_equal(MOVE(0, 0, 0, 5, 0, 0), -EBADMSG);
        assert_int_equal(MOVE(0, 0, 5, 0, 0, 0), -EBADMSG);
        assert_int_equal(MOVE(1, 0, 200, 1, 0, 0), -EBADMSG);
        assert_int_equal(MOVE(0, 1, 1, 50, 0, 0), -EBADMSG);
        assert_int_equal(MOVE(0, 0, 200, 1, 1, 0), -EBADMSG);
        assert_int_equal(MOVE(0, 0, 1, 50, 0, 1), -EBADMSG);
        assert_int_equal(MOVE(65535, 0, 65535, 1, 0, 0), -EBADMSG);
        assert_int_equal(MOVE(0, 0, 1, 1, 200, 0), -EBADMSG);
        assert_int_equal(MOVE(0, 0, 1, 1, 0, 50), -EBADMSG);
}

static void test_moves_are_bounded(void **state) {
        static SegmentMove moves[SEGMENT_MOVES_MAX + 1];
        (void) state;

        for (uint32_t i = 0; i <= SEGMENT_MOVES_MAX; i++)
                moves[i] = (SegmentMove){ 0, 0, 1, 1, 1, 1 };
        assert_return_code(check_moves(moves, SEGMENT_MOVES_MAX), 0);
        assert_int_equal(check_moves(moves, SEGMENT_MOVES_MAX + 1), -EBADMSG);
        moves[0] = moves[1] = (SegmentMove){ 0, 0, WIDTH, HEIGHT, 0, 0 };
        assert_return_code(check_moves(moves, 2), 0);
        assert_int_equal(check_moves(moves, 3), -EBADMSG);
        assert_string_equal(refused, "it has too many or too large MOVE operations");
}

static void test_order_of_moves(void **state) {
        const SegmentMove move = { 0, 0, 1, 1, 1, 1 };
        const SegmentRefRun run = { 0, 1, 0, false };
        (void) state;

        for (unsigned first = 0; first < 2; first++) {
                Buffer operations = { .max = SEGMENT_SIZE_MAX };
                if (first == 0)
                        assert_return_code(segment_operation_moves(&operations, &move, 1), 0);
                assert_return_code(segment_operation_ref(&operations, &run, 1), 0);
                if (first == 1)
                        assert_return_code(segment_operation_moves(&operations, &move, 1), 0);
                assert_int_equal(check(&operations, 2, 0), first == 0 ? 0 : -EBADMSG);
        }
        Buffer operations = { .max = SEGMENT_SIZE_MAX };
        assert_return_code(segment_operation_moves(&operations, &move, 1), 0);
        assert_int_equal(check(&operations, 1, SEGMENT_FRAME_KEY), -EBADMSG);
        assert_string_equal(refused, "a keyframe has a MOVE operation");
}

static void test_lengths(void **state) {
        (void) state;

        for (uint8_t kind = SEGMENT_OPERATION_REF; kind <= SEGMENT_OPERATION_MOVE; kind++)
                for (uint8_t size = 0; size < 36; size++) {
                        const uint8_t header[SEGMENT_OPERATION_SIZE] = { kind, 0, 0, 0, size };
                        const uint8_t body[36] = { 0, 0, 0, 0, 1, 0, 1, 0 };
                        Buffer operations = { .max = SEGMENT_SIZE_MAX };
                        assert_return_code(buffer_append(&operations, header, sizeof(header)), 0);
                        assert_return_code(buffer_append(&operations, body, size), 0);
                        int r = check(&operations, 1, 0);
                        if (size == 0 || size % 12 != 0)
                                assert_string_equal(refused, "a REF or MOVE operation is of a wrong length");
                        assert_true(r == 0 || r == -EBADMSG);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ref),
                cmocka_unit_test(test_ref_window),
                cmocka_unit_test(test_move),
                cmocka_unit_test(test_moves_are_bounded),
                cmocka_unit_test(test_order_of_moves),
                cmocka_unit_test(test_lengths),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
