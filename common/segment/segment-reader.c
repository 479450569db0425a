/* SPDX-License-Identifier: Apache-2.0 */
#include "segment-reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crc32c.h"
#include "le.h"
#include "segment-frame.h"
#include "segment-tables.h"

void segment_reader_init(SegmentReader *reader, const uint8_t *data, size_t size) {
        *reader = (SegmentReader){ .data = data, .size = size };
}

static int damaged(SegmentReader *reader, int error, const char *format, ...)
                __attribute__((format(printf, 3, 4)));

static int damaged(SegmentReader *reader, int error, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(reader->error, sizeof(reader->error), format, arguments);
        va_end(arguments);
        reader->error_offset = reader->offset;
        return error;
}

static bool string_ok(const char *array, size_t size) {
        return memchr(array, '\0', size) != NULL;
}

/* Times never go back, so that a player can seek by them. */
static bool time_ok(SegmentReader *reader, uint64_t time) {
        if (time < reader->last_time || time > SEGMENT_TIME_MAX)
                return false;
        reader->last_time = time;
        return true;
}

static int read_head(SegmentReader *reader, const uint8_t *p, size_t size, SegmentHead *ret) {
        if (size >= 4 && le32_get(p) != SEGMENT_VERSION)
                return damaged(reader, -EPROTONOSUPPORT,
                               "the segment is of format version %" PRIu32 ", this program knows version %u",
                               le32_get(p), SEGMENT_VERSION);
        if (size != SEGMENT_HEAD_SIZE)
                return damaged(reader, -EBADMSG, "HEAD has %zu bytes", size);
        *ret = (SegmentHead){
                .version = le32_get(p),
                .sequence = le32_get(p + 4),
                .start_realtime = le64_get(p + 40),
        };
        memcpy(ret->device, p + 8, 16);
        memcpy(ret->recording, p + 24, 16);
        memcpy(ret->previous_sha256, p + 48, 32);
        memcpy(ret->software, p + 80, 32);
        if (ret->start_realtime > SEGMENT_TIME_MAX || !string_ok(ret->software, sizeof(ret->software)))
                return damaged(reader, -EBADMSG, "HEAD has a value out of range");
        return 0;
}

static int read_output(SegmentReader *reader, const uint8_t *p, size_t size, SegmentOutput *ret) {
        if (size != SEGMENT_OUTP_SIZE)
                return damaged(reader, -EBADMSG, "OUTP has %zu bytes", size);
        *ret = (SegmentOutput){ le32_get(p), le32_get(p + 4), le32_get(p + 8), le32_get(p + 12) };
        memcpy(ret->name, p + 16, sizeof(ret->name));
        if (ret->id >= SEGMENT_OUTPUT_MAX || !string_ok(ret->name, sizeof(ret->name)))
                return damaged(reader, -EBADMSG, "OUTP has a value out of range");
        if (!segment_size_ok(ret->width, ret->height))
                return damaged(reader, -EBADMSG, "output %" PRIu32 " is of %" PRIu32 " × %" PRIu32 " pixels",
                               ret->id, ret->width, ret->height);
        reader->outputs[ret->id] = (SegmentReaderOutput){ .declared = true,
                                                          .width = ret->width,
                                                          .height = ret->height };
        return 0;
}

static int read_tables(SegmentReader *reader, const uint8_t *p, size_t size, SegmentChunk *ret) {
        bool coarse = ret->type == SEGMENT_JCOA;
        const char *why;

        if (segment_tables_parse(p, size, &ret->tables, &why) < 0)
                return damaged(reader, -EBADMSG, "%s: %s", coarse ? "JCOA" : "JTAB", why);
        if (coarse)
                reader->has_coarse = true;
        else
                reader->has_tables = true;
        return 0;
}

static bool has_coarse_tiles(const SegmentFrame *frame) {
        SegmentOperation operation;
        size_t position = 0;

        while (segment_frame_next(frame, &position, &operation) > 0)
                if (operation.kind == SEGMENT_OPERATION_COARSE)
                        return true;
        return false;
}

static int read_frame(SegmentReader *reader, const uint8_t *p, size_t size, SegmentFrame *ret) {
        if (size < SEGMENT_FRAM_SIZE)
                return damaged(reader, -EBADMSG, "FRAM has %zu bytes", size);
        *ret = (SegmentFrame){
                .output = le32_get(p),
                .flags = le32_get(p + 4),
                .time = le64_get(p + 8),
                .n_operations = le32_get(p + 16),
                .operations = p + SEGMENT_FRAM_SIZE,
                .operations_size = size - SEGMENT_FRAM_SIZE,
        };
        if (ret->output >= SEGMENT_OUTPUT_MAX || !reader->outputs[ret->output].declared)
                return damaged(reader, -EBADMSG, "FRAM is of an output without OUTP before it");
        if (!reader->has_tables)
                return damaged(reader, -EBADMSG, "FRAM is without JTAB before it");

        SegmentReaderOutput *output = &reader->outputs[ret->output];
        bool key = ret->flags & SEGMENT_FRAME_KEY;
        if (!key && !output->has_key)
                return damaged(reader, -EBADMSG, "the output's first frame is no keyframe");
        if (!time_ok(reader, ret->time))
                return damaged(reader, -EBADMSG, "FRAM goes back in time");

        const char *why;
        uint32_t n_new = key ? 0 : output->n_new;
        int r = segment_frame_check(ret, output->width, output->height, reader->drawn, &n_new, &why);
        if (r < 0)
                return damaged(reader, r, "FRAM: %s", why);
        if (!reader->has_coarse && has_coarse_tiles(ret))
                return damaged(reader, -EBADMSG, "FRAM has coarse tiles without JCOA before it");
        output->n_new = n_new;
        output->has_key = true;
        reader->n_frames++;
        return 0;
}

static int read_gap(SegmentReader *reader, const uint8_t *p, size_t size, SegmentGap *ret) {
        if (size != SEGMENT_GAP_SIZE)
                return damaged(reader, -EBADMSG, "GAP_ has %zu bytes", size);
        *ret = (SegmentGap){
                .output = le32_get(p),
                .reason = le32_get(p + 4),
                .time = le64_get(p + 8),
                .format = le32_get(p + 16),
                .modifier = le64_get(p + 24),
        };
        if (ret->output >= SEGMENT_OUTPUT_MAX && ret->output != SEGMENT_OUTPUT_ALL)
                return damaged(reader, -EBADMSG, "GAP_ has an output out of range");
        if (!time_ok(reader, ret->time))
                return damaged(reader, -EBADMSG, "GAP_ goes back in time");
        return 0;
}

/* The compressed pixels are for segment-cursor.h to check: this reader allocates nothing. */
static int read_cursor_image(SegmentReader *reader, const uint8_t *p, size_t size, SegmentCursorImage *ret) {
        if (size <= SEGMENT_CIMG_SIZE)
                return damaged(reader, -EBADMSG, "cIMG has %zu bytes", size);
        *ret = (SegmentCursorImage){
                .id = le32_get(p),
                .width = le16_get(p + 4),
                .height = le16_get(p + 6),
                .hot_x = (int16_t) le16_get(p + 8),
                .hot_y = (int16_t) le16_get(p + 10),
                .data = p + SEGMENT_CIMG_SIZE,
                .size = size - SEGMENT_CIMG_SIZE,
        };
        if (ret->id >= SEGMENT_CURSORS_MAX || ret->width < 1 || ret->width > SEGMENT_CURSOR_SIDE ||
            ret->height < 1 || ret->height > SEGMENT_CURSOR_SIDE)
                return damaged(reader, -EBADMSG, "cIMG has a value out of range");
        for (uint32_t i = 0; i < SEGMENT_OUTPUT_MAX; i++)
                if (reader->outputs[i].has_cursor && reader->outputs[i].cursor == ret->id)
                        return damaged(reader, -EBADMSG, "cIMG replaces an image that is shown");
        reader->cursors |= UINT64_C(1) << ret->id;
        return 0;
}

static int read_cursor(SegmentReader *reader, const uint8_t *p, size_t size, SegmentCursor *ret) {
        if (size != SEGMENT_CPOS_SIZE)
                return damaged(reader, -EBADMSG, "cPOS has %zu bytes", size);
        uint32_t flags = le32_get(p + 4);
        if (flags & ~SEGMENT_CURSOR_VISIBLE)
                return damaged(reader, -EPROTONOSUPPORT, "cPOS has a flag of a newer version");
        *ret = (SegmentCursor){
                .output = le32_get(p),
                .visible = flags & SEGMENT_CURSOR_VISIBLE,
                .time = le64_get(p + 8),
                .x = (int32_t) le32_get(p + 16),
                .y = (int32_t) le32_get(p + 20),
                .image = le32_get(p + 24),
        };
        if (ret->output >= SEGMENT_OUTPUT_MAX || !reader->outputs[ret->output].declared)
                return damaged(reader, -EBADMSG, "cPOS is of an output without OUTP before it");
        if (ret->visible ? ret->image >= SEGMENT_CURSORS_MAX ||
                                            !(reader->cursors & UINT64_C(1) << ret->image) ||
                                            ret->x != (int16_t) ret->x || ret->y != (int16_t) ret->y
                         : ret->image != 0 || ret->x != 0 || ret->y != 0)
                return damaged(reader, -EBADMSG, "cPOS has a value out of range");
        if (!time_ok(reader, ret->time))
                return damaged(reader, -EBADMSG, "cPOS goes back in time");
        reader->outputs[ret->output].has_cursor = ret->visible;
        reader->outputs[ret->output].cursor = ret->image;
        return 0;
}

static int read_session(SegmentReader *reader, const uint8_t *p, size_t size, SegmentSession *ret) {
        if (size != SEGMENT_SESS_SIZE)
                return damaged(reader, -EBADMSG, "sESS has %zu bytes", size);
        *ret = (SegmentSession){ .time = le64_get(p), .flags = le32_get(p + 8), .uid = le32_get(p + 12) };
        memcpy(ret->id, p + 16, sizeof(ret->id));
        memcpy(ret->seat, p + 48, sizeof(ret->seat));
        memcpy(ret->user, p + 80, sizeof(ret->user));
        if (ret->flags & ~(SEGMENT_SESSION_OPEN | SEGMENT_SESSION_LOGIN))
                return damaged(reader, -EPROTONOSUPPORT, "sESS has a flag of a newer version");
        if (!string_ok(ret->id, sizeof(ret->id)) || !string_ok(ret->seat, sizeof(ret->seat)) ||
            !string_ok(ret->user, sizeof(ret->user)))
                return damaged(reader, -EBADMSG, "sESS has a value out of range");
        if (!time_ok(reader, ret->time))
                return damaged(reader, -EBADMSG, "sESS goes back in time");
        return 0;
}

static int read_rate(SegmentReader *reader, const uint8_t *p, size_t size, SegmentRate *ret) {
        if (size != SEGMENT_RATE_SIZE)
                return damaged(reader, -EBADMSG, "rATE has %zu bytes", size);
        *ret = (SegmentRate){ .time = le64_get(p), .interval = le64_get(p + 8), .flags = le32_get(p + 16) };
        if (ret->interval > SEGMENT_TIME_MAX)
                return damaged(reader, -EBADMSG, "rATE has a value out of range");
        if (!time_ok(reader, ret->time))
                return damaged(reader, -EBADMSG, "rATE goes back in time");
        return 0;
}

static int read_index(SegmentReader *reader, const uint8_t *p, size_t size, SegmentIndex *ret) {
        if (size < SEGMENT_INDX_SIZE)
                return damaged(reader, -EBADMSG, "INDX has %zu bytes", size);
        *ret = (SegmentIndex){
                .end_time = le64_get(p),
                .n_frames = le32_get(p + 8),
                .n_entries = le32_get(p + 12),
                .entries = p + SEGMENT_INDX_SIZE - 4,
        };
        if (ret->n_entries > SEGMENT_INDEX_MAX ||
            size != SEGMENT_INDX_SIZE + (size_t) ret->n_entries * SEGMENT_INDX_ENTRY_SIZE)
                return damaged(reader, -EBADMSG, "INDX has %zu bytes for %" PRIu32 " entries", size,
                               ret->n_entries);
        if (le32_get(p + size - 4) != SEGMENT_CHUNK_HEADER_SIZE + size)
                return damaged(reader, -EBADMSG, "INDX ends with a wrong length");
        if (!time_ok(reader, ret->end_time))
                return damaged(reader, -EBADMSG, "INDX goes back in time");
        if (ret->n_frames != reader->n_frames)
                return damaged(reader, -EBADMSG, "INDX counts %" PRIu32 " frames, there are %" PRIu32,
                               ret->n_frames, reader->n_frames);
        for (uint32_t i = 0; i < ret->n_entries; i++) {
                SegmentIndexEntry entry = segment_index_entry(ret, i);
                if (entry.offset >= reader->offset || entry.time > ret->end_time ||
                    entry.output >= SEGMENT_OUTPUT_MAX)
                        return damaged(reader, -EBADMSG, "INDX has an entry out of range");
        }
        reader->finished = true;
        return 0;
}

static int read_payload(SegmentReader *reader, const uint8_t *p, size_t size, SegmentChunk *ret) {
        if (!reader->started && ret->type != SEGMENT_HEAD)
                return damaged(reader, -EBADMSG, "the segment does not begin with HEAD");
        if (reader->started && ret->type == SEGMENT_HEAD)
                return damaged(reader, -EBADMSG, "HEAD comes a second time");
        reader->started = true;

        switch (ret->type) {
        case SEGMENT_HEAD:
                return read_head(reader, p, size, &ret->head);
        case SEGMENT_OUTP:
                return read_output(reader, p, size, &ret->output);
        case SEGMENT_JTAB:
        case SEGMENT_JCOA:
                return read_tables(reader, p, size, ret);
        case SEGMENT_FRAM:
                return read_frame(reader, p, size, &ret->frame);
        case SEGMENT_GAP:
                return read_gap(reader, p, size, &ret->gap);
        case SEGMENT_CIMG:
                return read_cursor_image(reader, p, size, &ret->cursor_image);
        case SEGMENT_CPOS:
                return read_cursor(reader, p, size, &ret->cursor);
        case SEGMENT_SESS:
                return read_session(reader, p, size, &ret->session);
        case SEGMENT_RATE:
                return read_rate(reader, p, size, &ret->rate);
        case SEGMENT_INDX:
                return read_index(reader, p, size, &ret->index);
        default:
                return damaged(reader, -EPROTONOSUPPORT,
                               "a chunk of unknown type %#" PRIx32
                               " may not be skipped: the segment was "
                               "written by a newer version",
                               ret->type);
        }
}

/* One chunk. 1: ret is filled; 0: an optional one of unknown type, skipped. */
static int read_chunk(SegmentReader *reader, SegmentChunk *ret) {
        const uint8_t *header = reader->data + reader->offset;
        size_t left = reader->size - reader->offset;
        int r;

        if (left < SEGMENT_CHUNK_HEADER_SIZE)
                return damaged(reader, -ENODATA, "the segment is cut short %s",
                               left > 0 ? "in a chunk's header" : "before its index");
        uint32_t type = le32_get(header), size = le32_get(header + 4);
        if (size > SEGMENT_SIZE_MAX)
                return damaged(reader, -EBADMSG, "a chunk says that it has %" PRIu32 " bytes", size);
        if (size > left - SEGMENT_CHUNK_HEADER_SIZE)
                return damaged(reader, -ENODATA,
                               "the segment is cut short: a chunk of %" PRIu32 " bytes has %zu of them",
                               size, left - SEGMENT_CHUNK_HEADER_SIZE);
        const uint8_t *payload = header + SEGMENT_CHUNK_HEADER_SIZE;
        if (crc32c(crc32c(0, header, 8), payload, size) != le32_get(header + 8))
                return damaged(reader, -EBADMSG, "a chunk's checksum is wrong");

        static const uint32_t known[] = { SEGMENT_HEAD, SEGMENT_OUTP, SEGMENT_JTAB, SEGMENT_JCOA,
                                          SEGMENT_FRAM, SEGMENT_GAP,  SEGMENT_CIMG, SEGMENT_CPOS,
                                          SEGMENT_SESS, SEGMENT_RATE, SEGMENT_INDX };
        bool skip = type & SEGMENT_TYPE_OPTIONAL && reader->started;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                skip = skip && type != known[i];
        if (!skip) {
                *ret = (SegmentChunk){ .type = type, .offset = reader->offset };
                r = read_payload(reader, payload, size, ret);
                if (r < 0)
                        return r;
        }
        reader->offset += SEGMENT_CHUNK_HEADER_SIZE + size;
        return !skip;
}

int segment_reader_next(SegmentReader *reader, SegmentChunk *ret) {
        SegmentChunk chunk;
        int r = 0;

        if (reader->offset == 0) {
                size_t n = reader->size < SEGMENT_SIGNATURE_SIZE ? reader->size : SEGMENT_SIGNATURE_SIZE;
                if (n > 0 && memcmp(reader->data, SEGMENT_SIGNATURE, n) != 0)
                        return damaged(reader, -EBADMSG, "this is no StreamSight segment");
                if (n < SEGMENT_SIGNATURE_SIZE)
                        return damaged(reader, -ENODATA, "the segment is cut short in its first bytes");
                if (reader->size > SEGMENT_SIZE_MAX)
                        return damaged(reader, -EBADMSG, "the segment is larger than %u bytes",
                                       SEGMENT_SIZE_MAX);
                reader->offset = SEGMENT_SIGNATURE_SIZE;
        }
        if (reader->finished) {
                if (reader->offset < reader->size)
                        return damaged(reader, -EBADMSG, "the segment goes on behind its index");
                return 0;
        }
        while (r == 0)
                r = read_chunk(reader, &chunk);
        if (r > 0)
                *ret = chunk;
        return r;
}

SegmentIndexEntry segment_index_entry(const SegmentIndex *index, uint32_t i) {
        const uint8_t *p = index->entries + (size_t) i * SEGMENT_INDX_ENTRY_SIZE;
        return (SegmentIndexEntry){ le64_get(p), le64_get(p + 8), le32_get(p + 16) };
}
