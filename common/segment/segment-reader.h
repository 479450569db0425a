/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one parser of segments. It reads hostile bytes from memory, which the results point into, allocates
 * nothing, and checks each chunk whole before it gives it out: CRC, sizes, order, times, tile numbers and
 * the JPEG markers. What it gave out before damage is good. */

#include "segment.h"

/* What has to be remembered of an output from chunk to chunk. */
typedef struct SegmentReaderOutput {
        bool declared, has_key;
        uint32_t width, height;
        uint32_t n_new;  /* tiles since the last keyframe */
        bool has_cursor; /* a visible one: */
        uint32_t cursor; /* its image */
} SegmentReaderOutput;

typedef struct SegmentReader {
        const uint8_t *data;
        size_t size, offset; /* offset: of the next chunk */
        bool started, finished;
        bool has_tables, has_coarse;
        uint64_t last_time;
        uint32_t n_frames;
        uint64_t cursors; /* bit by id: there is such an image */
        SegmentReaderOutput outputs[SEGMENT_OUTPUT_MAX];
        uint8_t drawn[(SEGMENT_PICTURE_TILES_MAX + 7) / 8]; /* bit by tile, of the frame being checked */

        /* After a negative result: where the chunk begins that is damaged, and what is wrong. */
        size_t error_offset;
        char error[160];
} SegmentReader;

typedef struct SegmentChunk {
        uint32_t type;
        size_t offset; /* of the chunk's header in the segment */
        union {
                SegmentHead head;
                SegmentOutput output;
                SegmentTables tables; /* of JTAB and of JCOA */
                SegmentFrame frame;
                SegmentGap gap;
                SegmentCursorImage cursor_image;
                SegmentCursor cursor;
                SegmentSession session;
                SegmentRate rate;
                SegmentIndex index;
        };
} SegmentChunk;

typedef struct SegmentOperation {
        enum segment_operation kind;
        uint32_t n_runs;     /* or moves */
        uint32_t n_tiles;    /* of NEW and COARSE */
        const uint8_t *runs; /* segment_operation_run(), …_ref_run(), …_move() */
        const uint8_t *data; /* likewise: entropy-coded */
        size_t size;
} SegmentOperation;

/* data stays the caller's, and unchanged, for as long as the reader and its results are used. */
void segment_reader_init(SegmentReader *reader, const uint8_t *data, size_t size);

/* 1: a chunk of a known type; 0: the end, behind INDX. -EBADMSG damaged or hostile, -ENODATA cut short,
 * -EPROTONOSUPPORT written by a newer version: with error and error_offset, and again at each further call.
 */
int segment_reader_next(SegmentReader *reader, SegmentChunk *ret);

/* The operations of a frame that segment_reader_next() gave, one a call: 1, or 0 at the end. *position is 0
 * at first. Optional operations of unknown kind are skipped. */
int segment_frame_next(const SegmentFrame *frame, size_t *position, SegmentOperation *ret);

/* The i-th of n_runs of an operation of kind NEW or COARSE, REF, MOVE. */
SegmentRun segment_operation_run(const SegmentOperation *operation, uint32_t i);
SegmentRefRun segment_operation_ref_run(const SegmentOperation *operation, uint32_t i);
SegmentMove segment_operation_move(const SegmentOperation *operation, uint32_t i);

SegmentIndexEntry segment_index_entry(const SegmentIndex *index, uint32_t i);
