/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes a segment into memory, append-only. What a call adds it adds whole, or on failure not at all.
 * Callers keep to the order that the format demands: head; an output and tables before the first frame of
 * the output, which is a keyframe; finish last. */

#include "buffer.h"
#include "segment.h"

typedef struct SegmentWriter {
        Buffer buffer;  /* the segment so far */
        Buffer entries; /* of INDX, as it will have them */
        uint64_t last_time;
        uint32_t n_frames, n_entries;
} SegmentWriter;

/* Begins a segment: signature and HEAD. -ENOMEM. */
int segment_writer_init(SegmentWriter *writer, const SegmentHead *head);
void segment_writer_done(SegmentWriter *writer);

/* -EFBIG, here and below: the segment would not fit SEGMENT_SIZE_MAX with its index. A time before last_time
 * is written as last_time. */
int segment_writer_output(SegmentWriter *writer, const SegmentOutput *output);
int segment_writer_tables(SegmentWriter *writer, const uint8_t *data, size_t size);
/* Likewise of COARSE operations, before the first of them. */
int segment_writer_coarse_tables(SegmentWriter *writer, const uint8_t *data, size_t size);
int segment_writer_frame(SegmentWriter *writer, const SegmentFrame *frame);
int segment_writer_gap(SegmentWriter *writer, const SegmentGap *gap);
int segment_writer_cursor_image(SegmentWriter *writer, const SegmentCursorImage *image);
int segment_writer_cursor(SegmentWriter *writer, const SegmentCursor *cursor);
int segment_writer_rate(SegmentWriter *writer, const SegmentRate *rate);
int segment_writer_session(SegmentWriter *writer, const SegmentSession *session);

/* Writes INDX; the segment is then writer->buffer. */
int segment_writer_finish(SegmentWriter *writer, uint64_t end_time);

/* Appends a NEW or COARSE operation to the operations of a frame. data is the entropy-coded data of the
 * runs' tiles. */
int segment_operation_tiles(Buffer *operations, enum segment_operation kind, const SegmentRun *runs,
                            uint32_t n_runs, const uint8_t *data, size_t size);

/* Likewise REF and MOVE. MOVE comes before the others. */
int segment_operation_ref(Buffer *operations, const SegmentRefRun *runs, uint32_t n_runs);
int segment_operation_moves(Buffer *operations, const SegmentMove *moves, uint32_t n_moves);
