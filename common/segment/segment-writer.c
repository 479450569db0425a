/* SPDX-License-Identifier: Apache-2.0 */
#include "segment-writer.h"

#include <string.h>

#include "crc32c.h"
#include "le.h"

/* What INDX will take with one entry more than now. */
static size_t index_reserve(const SegmentWriter *writer) {
        return SEGMENT_CHUNK_HEADER_SIZE + SEGMENT_INDX_SIZE + writer->entries.size +
               SEGMENT_INDX_ENTRY_SIZE;
}

/* A chunk whose payload is fixed followed by rest. */
static int put_chunk(SegmentWriter *writer, uint32_t type, const void *fixed, size_t fixed_size,
                     const void *rest, size_t rest_size) {
        size_t reserve = type == SEGMENT_INDX ? 0 : index_reserve(writer);
        uint8_t header[SEGMENT_CHUNK_HEADER_SIZE];
        int r;

        if (rest_size > SEGMENT_SIZE_MAX ||
            writer->buffer.size + sizeof(header) + fixed_size + rest_size + reserve > SEGMENT_SIZE_MAX)
                return -EFBIG;
        r = buffer_reserve(&writer->buffer, sizeof(header) + fixed_size + rest_size);
        if (r < 0)
                return r;

        le32_put(header, type);
        le32_put(header + 4, (uint32_t) (fixed_size + rest_size));
        uint32_t crc = crc32c(0, header, 8);
        crc = crc32c(crc, fixed, fixed_size);
        le32_put(header + 8, crc32c(crc, rest, rest_size));

        (void) buffer_append(&writer->buffer, header, sizeof(header));
        (void) buffer_append(&writer->buffer, fixed, fixed_size);
        (void) buffer_append(&writer->buffer, rest, rest_size);
        return 0;
}

static uint64_t in_order(SegmentWriter *writer, uint64_t time) {
        if (time > SEGMENT_TIME_MAX)
                time = SEGMENT_TIME_MAX;
        return time > writer->last_time ? time : writer->last_time;
}

int segment_writer_init(SegmentWriter *writer, const SegmentHead *head) {
        uint8_t payload[SEGMENT_HEAD_SIZE];
        int r;

        *writer = (SegmentWriter){
                .buffer.max = SEGMENT_SIZE_MAX,
                .entries.max = SEGMENT_INDEX_MAX * SEGMENT_INDX_ENTRY_SIZE,
        };
        le32_put(payload, SEGMENT_VERSION);
        le32_put(payload + 4, head->sequence);
        memcpy(payload + 8, head->device, 16);
        memcpy(payload + 24, head->recording, 16);
        le64_put(payload + 40, head->start_realtime);
        memcpy(payload + 48, head->previous_sha256, 32);
        memcpy(payload + 80, head->software, 32);

        r = buffer_append(&writer->buffer, SEGMENT_SIGNATURE, SEGMENT_SIGNATURE_SIZE);
        if (r >= 0)
                r = put_chunk(writer, SEGMENT_HEAD, payload, sizeof(payload), NULL, 0);
        if (r < 0)
                segment_writer_done(writer);
        return r;
}

void segment_writer_done(SegmentWriter *writer) {
        buffer_done(&writer->buffer);
        buffer_done(&writer->entries);
}

int segment_writer_output(SegmentWriter *writer, const SegmentOutput *output) {
        uint8_t payload[SEGMENT_OUTP_SIZE];

        le32_put(payload, output->id);
        le32_put(payload + 4, output->width);
        le32_put(payload + 8, output->height);
        le32_put(payload + 12, output->refresh_mhz);
        memcpy(payload + 16, output->name, 32);
        return put_chunk(writer, SEGMENT_OUTP, payload, sizeof(payload), NULL, 0);
}

int segment_writer_tables(SegmentWriter *writer, const uint8_t *data, size_t size) {
        return put_chunk(writer, SEGMENT_JTAB, data, size, NULL, 0);
}

int segment_writer_coarse_tables(SegmentWriter *writer, const uint8_t *data, size_t size) {
        return put_chunk(writer, SEGMENT_JCOA, data, size, NULL, 0);
}

static int add_entry(SegmentWriter *writer, uint64_t time, uint32_t output) {
        uint8_t entry[SEGMENT_INDX_ENTRY_SIZE];
        int r;

        le64_put(entry, time);
        le64_put(entry + 8, writer->buffer.size);
        le32_put(entry + 16, output);
        le32_put(entry + 20, 0);
        r = buffer_append(&writer->entries, entry, sizeof(entry));
        if (r >= 0)
                writer->n_entries++;
        return r;
}

int segment_writer_frame(SegmentWriter *writer, const SegmentFrame *frame) {
        uint64_t time = in_order(writer, frame->time);
        uint8_t payload[SEGMENT_FRAM_SIZE];
        int r;

        le32_put(payload, frame->output);
        le32_put(payload + 4, frame->flags);
        le64_put(payload + 8, time);
        le32_put(payload + 16, frame->n_operations);
        le32_put(payload + 20, 0);

        if (frame->flags & SEGMENT_FRAME_KEY) {
                r = add_entry(writer, time, frame->output);
                if (r < 0)
                        return r;
        }
        r = put_chunk(writer, SEGMENT_FRAM, payload, sizeof(payload), frame->operations,
                      frame->operations_size);
        if (r < 0) {
                if (frame->flags & SEGMENT_FRAME_KEY) {
                        writer->n_entries--;
                        writer->entries.size -= SEGMENT_INDX_ENTRY_SIZE;
                }
                return r;
        }
        writer->last_time = time;
        writer->n_frames++;
        return 0;
}

int segment_writer_gap(SegmentWriter *writer, const SegmentGap *gap) {
        uint64_t time = in_order(writer, gap->time);
        uint8_t payload[SEGMENT_GAP_SIZE];
        int r;

        le32_put(payload, gap->output);
        le32_put(payload + 4, gap->reason);
        le64_put(payload + 8, time);
        le32_put(payload + 16, gap->format);
        le32_put(payload + 20, 0);
        le64_put(payload + 24, gap->modifier);
        r = put_chunk(writer, SEGMENT_GAP, payload, sizeof(payload), NULL, 0);
        if (r >= 0)
                writer->last_time = time;
        return r;
}

int segment_writer_cursor_image(SegmentWriter *writer, const SegmentCursorImage *image) {
        uint8_t payload[SEGMENT_CIMG_SIZE];

        le32_put(payload, image->id);
        le16_put(payload + 4, (uint16_t) image->width);
        le16_put(payload + 6, (uint16_t) image->height);
        le16_put(payload + 8, (uint16_t) image->hot_x);
        le16_put(payload + 10, (uint16_t) image->hot_y);
        return put_chunk(writer, SEGMENT_CIMG, payload, sizeof(payload), image->data, image->size);
}

int segment_writer_cursor(SegmentWriter *writer, const SegmentCursor *cursor) {
        uint64_t time = in_order(writer, cursor->time);
        uint8_t payload[SEGMENT_CPOS_SIZE];
        int r;

        le32_put(payload, cursor->output);
        le32_put(payload + 4, cursor->visible ? SEGMENT_CURSOR_VISIBLE : 0);
        le64_put(payload + 8, time);
        le32_put(payload + 16, (uint32_t) cursor->x);
        le32_put(payload + 20, (uint32_t) cursor->y);
        le32_put(payload + 24, cursor->image);
        le32_put(payload + 28, 0);
        r = put_chunk(writer, SEGMENT_CPOS, payload, sizeof(payload), NULL, 0);
        if (r >= 0)
                writer->last_time = time;
        return r;
}

int segment_writer_session(SegmentWriter *writer, const SegmentSession *session) {
        uint64_t time = in_order(writer, session->time);
        uint8_t payload[SEGMENT_SESS_SIZE];
        int r;

        le64_put(payload, time);
        le32_put(payload + 8, session->flags);
        le32_put(payload + 12, session->uid);
        memcpy(payload + 16, session->id, sizeof(session->id));
        memcpy(payload + 48, session->seat, sizeof(session->seat));
        memcpy(payload + 80, session->user, sizeof(session->user));
        r = put_chunk(writer, SEGMENT_SESS, payload, sizeof(payload), NULL, 0);
        if (r >= 0)
                writer->last_time = time;
        return r;
}

int segment_writer_rate(SegmentWriter *writer, const SegmentRate *rate) {
        uint64_t time = in_order(writer, rate->time);
        uint8_t payload[SEGMENT_RATE_SIZE];
        int r;

        le64_put(payload, time);
        le64_put(payload + 8, rate->interval);
        le32_put(payload + 16, rate->flags);
        le32_put(payload + 20, 0);
        r = put_chunk(writer, SEGMENT_RATE, payload, sizeof(payload), NULL, 0);
        if (r >= 0)
                writer->last_time = time;
        return r;
}

int segment_writer_finish(SegmentWriter *writer, uint64_t end_time) {
        uint8_t fixed[SEGMENT_INDX_SIZE - 4], last[4];
        int r;

        le64_put(fixed, in_order(writer, end_time));
        le32_put(fixed + 8, writer->n_frames);
        le32_put(fixed + 12, writer->n_entries);
        le32_put(fixed + 16, 0);
        le32_put(last, (uint32_t) (SEGMENT_CHUNK_HEADER_SIZE + SEGMENT_INDX_SIZE + writer->entries.size));
        r = buffer_append(&writer->entries, last, sizeof(last));
        if (r < 0)
                return r;
        return put_chunk(writer, SEGMENT_INDX, fixed, sizeof(fixed), writer->entries.data,
                         writer->entries.size);
}

int segment_operation_tiles(Buffer *operations, enum segment_operation kind, const SegmentRun *runs,
                            uint32_t n_runs, const uint8_t *data, size_t size) {
        size_t length = SEGMENT_NEW_SIZE + (size_t) n_runs * SEGMENT_RUN_SIZE + size;
        uint32_t n_tiles = 0;
        int r;

        if (size > SEGMENT_SIZE_MAX || length > SEGMENT_SIZE_MAX)
                return -EFBIG;
        r = buffer_reserve(operations, SEGMENT_OPERATION_SIZE + length);
        if (r < 0)
                return r;

        uint8_t *p = operations->data + operations->size;
        le32_put(p, kind);
        le32_put(p + 4, (uint32_t) length);
        le32_put(p + 8, n_runs);
        uint8_t *n_tiles_at = p + 12;
        p += SEGMENT_OPERATION_SIZE + SEGMENT_NEW_SIZE;
        for (uint32_t i = 0; i < n_runs; i++, p += SEGMENT_RUN_SIZE) {
                le32_put(p, runs[i].first);
                le32_put(p + 4, runs[i].count);
                n_tiles += runs[i].count;
        }
        le32_put(n_tiles_at, n_tiles);
        memcpy(p, data, size);
        operations->size += SEGMENT_OPERATION_SIZE + length;
        return 0;
}

/* Kind, length, and room for n entries: *ret points to it. */
static int operation_entries(Buffer *operations, uint32_t kind, uint32_t n, size_t entry_size,
                             uint8_t **ret) {
        size_t length = n * entry_size;
        int r;

        if (length > SEGMENT_SIZE_MAX)
                return -EFBIG;
        r = buffer_reserve(operations, SEGMENT_OPERATION_SIZE + length);
        if (r < 0)
                return r;
        uint8_t *p = operations->data + operations->size;
        le32_put(p, kind);
        le32_put(p + 4, (uint32_t) length);
        operations->size += SEGMENT_OPERATION_SIZE + length;
        *ret = p + SEGMENT_OPERATION_SIZE;
        return 0;
}

int segment_operation_ref(Buffer *operations, const SegmentRefRun *runs, uint32_t n_runs) {
        uint8_t *p;
        int r;

        r = operation_entries(operations, SEGMENT_OPERATION_REF, n_runs, SEGMENT_REF_RUN_SIZE, &p);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < n_runs; i++, p += SEGMENT_REF_RUN_SIZE) {
                le32_put(p, runs[i].first);
                le32_put(p + 4, runs[i].count | (runs[i].same ? SEGMENT_REF_SAME : 0));
                le32_put(p + 8, runs[i].number);
        }
        return 0;
}

int segment_operation_moves(Buffer *operations, const SegmentMove *moves, uint32_t n_moves) {
        uint8_t *p;
        int r;

        r = operation_entries(operations, SEGMENT_OPERATION_MOVE, n_moves, SEGMENT_MOVE_SIZE, &p);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < n_moves; i++, p += SEGMENT_MOVE_SIZE) {
                le16_put(p, (uint16_t) moves[i].x);
                le16_put(p + 2, (uint16_t) moves[i].y);
                le16_put(p + 4, (uint16_t) moves[i].width);
                le16_put(p + 6, (uint16_t) moves[i].height);
                le16_put(p + 8, (uint16_t) moves[i].from_x);
                le16_put(p + 10, (uint16_t) moves[i].from_y);
        }
        return 0;
}
