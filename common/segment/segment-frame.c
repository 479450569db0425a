/* SPDX-License-Identifier: Apache-2.0 */
#include "segment-frame.h"

#include <errno.h>
#include <string.h>

#include "le.h"
#include "segment-tables.h"

/* The operation at *position and the position of the next; NULL, or what is wrong with its bounds. */
static const char *operation_bounds(const SegmentFrame *frame, size_t *position, uint32_t *ret_kind,
                                    const uint8_t **ret_body, size_t *ret_size) {
        const uint8_t *p = frame->operations + *position;
        size_t left = frame->operations_size - *position;

        if (left < SEGMENT_OPERATION_SIZE)
                return "an operation is cut short";
        size_t size = le32_get(p + 4);
        if (size > left - SEGMENT_OPERATION_SIZE)
                return "an operation is longer than its frame";
        *ret_kind = le32_get(p);
        *ret_body = p + SEGMENT_OPERATION_SIZE;
        *ret_size = size;
        *position += SEGMENT_OPERATION_SIZE + size;
        return NULL;
}

/* NEW and COARSE are alike. */
static const char *parse_new(uint32_t kind, const uint8_t *body, size_t size, SegmentOperation *ret) {
        if (size < SEGMENT_NEW_SIZE)
                return "a NEW operation is cut short";
        uint32_t n_runs = le32_get(body), n_tiles = le32_get(body + 4);
        if (n_tiles < 1 || n_tiles > SEGMENT_TILES_MAX || n_runs < 1 || n_runs > n_tiles)
                return "a NEW operation has a number of tiles out of range";
        if ((size - SEGMENT_NEW_SIZE) / SEGMENT_RUN_SIZE < n_runs)
                return "a NEW operation is cut short";
        size_t head = SEGMENT_NEW_SIZE + (size_t) n_runs * SEGMENT_RUN_SIZE;
        *ret = (SegmentOperation){
                .kind = kind,
                .n_runs = n_runs,
                .n_tiles = n_tiles,
                .runs = body + SEGMENT_NEW_SIZE,
                .data = body + head,
                .size = size - head,
        };
        return NULL;
}

/* REF and MOVE are nothing but entries of one size. */
static const char *parse_entries(uint32_t kind, size_t entry_size, const uint8_t *body, size_t size,
                                 SegmentOperation *ret) {
        if (size == 0 || size % entry_size != 0)
                return "a REF or MOVE operation is of a wrong length";
        *ret = (SegmentOperation){ .kind = kind, .n_runs = (uint32_t) (size / entry_size), .runs = body };
        return NULL;
}

static const char *parse(uint32_t kind, const uint8_t *body, size_t size, SegmentOperation *ret) {
        switch (kind) {
        case SEGMENT_OPERATION_NEW:
        case SEGMENT_OPERATION_COARSE:
                return parse_new(kind, body, size, ret);
        case SEGMENT_OPERATION_REF:
                return parse_entries(kind, SEGMENT_REF_RUN_SIZE, body, size, ret);
        default:
                return parse_entries(kind, SEGMENT_MOVE_SIZE, body, size, ret);
        }
}

static bool known(uint32_t kind) {
        return kind == SEGMENT_OPERATION_NEW || kind == SEGMENT_OPERATION_REF ||
               kind == SEGMENT_OPERATION_MOVE || kind == SEGMENT_OPERATION_COARSE;
}

typedef struct Check {
        uint32_t width, height, n_tiles;
        uint8_t *drawn;
        uint32_t n_drawn;
        uint32_t n_new; /* so far */
        uint32_t n_moves;
        uint64_t moved; /* pixels */
} Check;

/* Each tile is drawn once at most in a frame, which makes it easy to see that a keyframe is complete. */
static const char *check_run(Check *check, uint32_t first, uint32_t count) {
        if (first >= check->n_tiles || count < 1 || count > check->n_tiles - first)
                return "a run of tiles is out of range";
        for (uint32_t tile = first; tile < first + count; tile++) {
                uint8_t bit = (uint8_t) (1U << tile % 8);
                if (check->drawn[tile / 8] & bit)
                        return "a tile is drawn twice";
                check->drawn[tile / 8] |= bit;
        }
        check->n_drawn += count;
        return NULL;
}

static const char *check_new(Check *check, const SegmentOperation *operation) {
        uint32_t sum = 0;

        for (uint32_t i = 0; i < operation->n_runs; i++) {
                SegmentRun run = segment_operation_run(operation, i);
                const char *why = check_run(check, run.first, run.count);
                if (why)
                        return why;
                sum += run.count;
        }
        if (sum != operation->n_tiles)
                return "the runs of a NEW operation are not of as many tiles as it says";
        if (segment_scan_check(operation->data, operation->size, sum) < 0)
                return "the JPEG data is not of as many restart intervals as there are tiles";
        if (operation->kind == SEGMENT_OPERATION_NEW)
                check->n_new += sum;
        return NULL;
}

static const char *check_ref(Check *check, const SegmentOperation *operation) {
        for (uint32_t i = 0; i < operation->n_runs; i++) {
                SegmentRefRun run = segment_operation_ref_run(operation, i);
                const char *why = check_run(check, run.first, run.count);
                if (why)
                        return why;
                uint32_t last = run.same ? 0 : run.count - 1;
                if (run.number >= check->n_new || last >= check->n_new - run.number)
                        return "a REF operation names a tile that was never sent";
                if (check->n_new - run.number > SEGMENT_DICTIONARY_TILES)
                        return "a REF operation names a tile that is forgotten";
        }
        return NULL;
}

static bool inside(uint32_t at, uint32_t size, uint32_t whole) {
        return size >= 1 && at < whole && size <= whole - at;
}

static const char *check_move(Check *check, const SegmentFrame *frame, const SegmentOperation *operation) {
        if (frame->flags & SEGMENT_FRAME_KEY)
                return "a keyframe has a MOVE operation";
        if (check->n_drawn > 0)
                return "a MOVE operation comes behind tiles";
        for (uint32_t i = 0; i < operation->n_runs; i++) {
                SegmentMove move = segment_operation_move(operation, i);
                if (!inside(move.x, move.width, check->width) ||
                    !inside(move.y, move.height, check->height) ||
                    !inside(move.from_x, move.width, check->width) ||
                    !inside(move.from_y, move.height, check->height))
                        return "a MOVE operation goes over the edge";
                check->moved += (uint64_t) move.width * move.height;
                if (++check->n_moves > SEGMENT_MOVES_MAX ||
                    check->moved > 2 * (uint64_t) check->width * check->height)
                        return "it has too many or too large MOVE operations";
        }
        return NULL;
}

static const char *check_operation(Check *check, const SegmentFrame *frame,
                                   const SegmentOperation *operation) {
        switch (operation->kind) {
        case SEGMENT_OPERATION_NEW:
        case SEGMENT_OPERATION_COARSE:
                return check_new(check, operation);
        case SEGMENT_OPERATION_REF:
                return check_ref(check, operation);
        default:
                return check_move(check, frame, operation);
        }
}

int segment_frame_check(const SegmentFrame *frame, uint32_t width, uint32_t height, uint8_t *drawn,
                        uint32_t *n_new, const char **ret_why) {
        Check check = { width, height, segment_tiles_across(width) * segment_tiles_down(height),
                        drawn, 0,      *n_new };
        size_t position = 0, size;
        const uint8_t *body;
        const char *why = NULL;
        uint32_t kind;

        memset(drawn, 0, (check.n_tiles + 7) / 8);
        if (frame->flags & ~(SEGMENT_FRAME_KEY | SEGMENT_FRAME_TORN)) {
                *ret_why = "it has a flag of a newer version";
                return -EPROTONOSUPPORT;
        }
        if (frame->n_operations > SEGMENT_OPERATIONS_MAX)
                why = "it has too many operations";
        for (uint32_t i = 0; i < frame->n_operations && !why; i++) {
                SegmentOperation operation;
                why = operation_bounds(frame, &position, &kind, &body, &size);
                if (why || kind & SEGMENT_OPERATION_OPTIONAL)
                        continue;
                if (!known(kind)) {
                        *ret_why = "it has an operation of a newer version";
                        return -EPROTONOSUPPORT;
                }
                why = parse(kind, body, size, &operation);
                if (!why)
                        why = check_operation(&check, frame, &operation);
        }
        if (!why && position != frame->operations_size)
                why = "it goes on behind its operations";
        if (!why && frame->flags & SEGMENT_FRAME_KEY && check.n_drawn != check.n_tiles)
                why = "it is a keyframe without all tiles";
        if (!why) {
                *n_new = check.n_new;
                return 0;
        }
        *ret_why = why;
        return -EBADMSG;
}

int segment_frame_next(const SegmentFrame *frame, size_t *position, SegmentOperation *ret) {
        uint32_t kind;
        const uint8_t *body;
        size_t size;

        while (*position < frame->operations_size) {
                if (operation_bounds(frame, position, &kind, &body, &size))
                        return 0;
                if (known(kind))
                        return parse(kind, body, size, ret) ? 0 : 1;
        }
        return 0;
}

SegmentRun segment_operation_run(const SegmentOperation *operation, uint32_t i) {
        const uint8_t *p = operation->runs + (size_t) i * SEGMENT_RUN_SIZE;
        return (SegmentRun){ le32_get(p), le32_get(p + 4) };
}

SegmentRefRun segment_operation_ref_run(const SegmentOperation *operation, uint32_t i) {
        const uint8_t *p = operation->runs + (size_t) i * SEGMENT_REF_RUN_SIZE;
        uint32_t count = le32_get(p + 4);
        return (SegmentRefRun){ .first = le32_get(p),
                                .count = count & ~SEGMENT_REF_SAME,
                                .number = le32_get(p + 8),
                                .same = count & SEGMENT_REF_SAME };
}

SegmentMove segment_operation_move(const SegmentOperation *operation, uint32_t i) {
        const uint8_t *p = operation->runs + (size_t) i * SEGMENT_MOVE_SIZE;
        return (SegmentMove){ le16_get(p),     le16_get(p + 2), le16_get(p + 4),
                              le16_get(p + 6), le16_get(p + 8), le16_get(p + 10) };
}
