/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "le.h"
#include "segment-canvas.h"
#include "segment-reader.h"
#include "segment-sample.h"

/* An exact copy on the heap, so that AddressSanitizer sees a read behind it. */
static uint8_t *copy_of(const uint8_t *data, size_t size) {
        uint8_t *copy = malloc(size > 0 ? size : 1);
        assert_non_null(copy);
        if (size > 0)
                memcpy(copy, data, size);
        return copy;
}

static SegmentWriter sample;

static int setup(void **state) {
        (void) state;
        segment_sample(&sample);
        return 0;
}

static int teardown(void **state) {
        (void) state;
        segment_writer_done(&sample);
        return 0;
}

/* Reads all chunks, drawing the frames. Returns how many; *ret_result is the reader's last result. */
static unsigned read_all(const uint8_t *data, size_t size, int *ret_result, SegmentReader *reader) {
        SegmentCanvas canvas = {};
        SegmentTables tables = {};
        SegmentChunk chunk;
        unsigned n = 0;

        segment_reader_init(reader, data, size);
        while ((*ret_result = segment_reader_next(reader, &chunk)) > 0) {
                n++;
                switch (chunk.type) {
                case SEGMENT_OUTP:
                        segment_canvas_done(&canvas);
                        assert_return_code(segment_canvas_init(&canvas, chunk.output.width,
                                                               chunk.output.height),
                                           0);
                        break;
                case SEGMENT_JTAB:
                        tables = chunk.tables;
                        break;
                case SEGMENT_FRAM:
                        (void) segment_canvas_draw(&canvas, &tables, &chunk.frame);
                        break;
                default:
                        break;
                }
        }
        segment_canvas_done(&canvas);
        return n;
}

static void test_reads_what_was_written(void **state) {
        const uint32_t types[] = { SEGMENT_HEAD, SEGMENT_JTAB, SEGMENT_OUTP, SEGMENT_FRAM,
                                   SEGMENT_FRAM, SEGMENT_GAP,  SEGMENT_FRAM, SEGMENT_INDX };
        SegmentOperation operation;
        SegmentReader reader;
        SegmentChunk chunks[SAMPLE_CHUNKS];
        size_t position = 0;
        (void) state;

        segment_reader_init(&reader, sample.buffer.data, sample.buffer.size);
        for (unsigned i = 0; i < SAMPLE_CHUNKS; i++) {
                if (segment_reader_next(&reader, &chunks[i]) != 1)
                        fail_msg("chunk %u: %s at %zu", i, reader.error, reader.error_offset);
                assert_int_equal(chunks[i].type, types[i]);
        }
        assert_int_equal(segment_reader_next(&reader, &(SegmentChunk){}), 0);
        assert_int_equal(segment_reader_next(&reader, &(SegmentChunk){}), 0);

        assert_int_equal(chunks[0].head.sequence, 7);
        assert_int_equal(chunks[0].head.start_realtime, 1767225600000000);
        assert_int_equal(chunks[0].head.previous_sha256[1], 0xcd);
        assert_string_equal(chunks[2].output.name, "Virtual-1");
        assert_int_equal(chunks[2].output.width, 80);
        assert_int_equal(chunks[3].frame.flags, SEGMENT_FRAME_KEY);
        assert_int_equal(segment_frame_next(&chunks[3].frame, &position, &operation), 1);
        assert_int_equal(operation.n_tiles, 3);
        assert_int_equal(segment_frame_next(&chunks[3].frame, &position, &operation), 1);
        assert_int_equal(operation.kind, SEGMENT_OPERATION_REF);
        assert_int_equal(segment_operation_ref_run(&operation, 0).number, 0);
        assert_int_equal(segment_frame_next(&chunks[3].frame, &position, &operation), 0);
        position = 0;
        assert_int_equal(chunks[4].frame.flags, 0);
        assert_int_equal(chunks[4].frame.time, 1000000);
        assert_int_equal(segment_frame_next(&chunks[4].frame, &position, &operation), 1);
        assert_int_equal(operation.n_tiles, 1);
        assert_int_equal(segment_operation_run(&operation, 0).first, 3);
        assert_int_equal(chunks[5].gap.reason, SEGMENT_GAP_OFF);
        assert_int_equal(chunks[6].frame.n_operations, 0);
        assert_int_equal(chunks[7].index.n_entries, 1);
        assert_int_equal(segment_index_entry(&chunks[7].index, 0).offset, chunks[3].offset);
        assert_int_equal(chunks[7].index.end_time, 4000000);
}

static void test_cut_anywhere(void **state) {
        size_t ends[SAMPLE_CHUNKS];
        SegmentReader reader;
        SegmentChunk chunk;
        unsigned whole = 0;
        int r;
        (void) state;

        segment_reader_init(&reader, sample.buffer.data, sample.buffer.size);
        for (unsigned i = 0; i < SAMPLE_CHUNKS; i++) {
                assert_int_equal(segment_reader_next(&reader, &chunk), 1);
                ends[i] = reader.offset;
        }
        for (size_t size = 0; size < sample.buffer.size; size++) {
                uint8_t *cut = copy_of(sample.buffer.data, size);
                while (whole < SAMPLE_CHUNKS && ends[whole] <= size)
                        whole++;
                assert_int_equal(read_all(cut, size, &r, &reader), whole);
                assert_int_equal(r, -ENODATA);
                assert_non_null(strstr(reader.error, "cut short"));
                assert_true(whole == 0 || reader.error_offset == ends[whole - 1]);
                free(cut);
        }
}

/* Reads what is left of a vector, of which n_ends chunks end there. */
static void cut_everywhere(const uint8_t *data, size_t size, const size_t *ends, size_t n_ends) {
        size_t whole = 0;
        SegmentReader reader;
        SegmentChunk chunk;

        for (size_t cut = 0; cut < size; cut++) {
                uint8_t *left = copy_of(data, cut);
                size_t n = 0;
                while (whole < n_ends && ends[whole] <= cut)
                        whole++;
                segment_reader_init(&reader, left, cut);
                while (segment_reader_next(&reader, &chunk) > 0)
                        n++;
                assert_int_equal(n, whole);
                assert_non_null(strstr(reader.error, "cut short"));
                assert_in_range(reader.error_offset, whole > 0 ? ends[whole - 1] : 0, cut);
                free(left);
        }
}

/* All chunks and operations, cut at every byte: what is whole is given out, and nothing else. */
static void test_vectors_cut_anywhere(void **state) {
        static const char *const names[] = { "tiles", "moves", "coarse", "cursor", "outputs", "unknown" };
        static uint8_t data[64 * 1024];
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                size_t ends[32], n_ends = 0;
                SegmentReader reader;
                SegmentChunk chunk;
                char path[512];
                int r;

                snprintf(path, sizeof(path), SOURCE_ROOT "/tests/vectors/%s.sss", names[i]);
                FILE *file = fopen(path, "re");
                assert_non_null(file);
                size_t size = fread(data, 1, sizeof(data), file);
                fclose(file);
                segment_reader_init(&reader, data, size);
                while ((r = segment_reader_next(&reader, &chunk)) > 0 && n_ends < ELEMENTSOF(ends))
                        ends[n_ends++] = reader.offset;
                if (r != 0)
                        fail_msg("%s: %s", path, reader.error);
                cut_everywhere(data, size, ends, n_ends);
        }
}

static void test_every_damaged_byte_is_noticed(void **state) {
        SegmentReader reader;
        int r;
        (void) state;

        for (size_t i = 0; i < sample.buffer.size; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        uint8_t *damaged = copy_of(sample.buffer.data, sample.buffer.size);
                        damaged[i] ^= (uint8_t) (1U << bit);
                        (void) read_all(damaged, sample.buffer.size, &r, &reader);
                        if (r >= 0 || !reader.error[0] || reader.error_offset > i)
                                fail_msg("byte %zu, bit %u: %i, \"%s\" at %zu", i, bit, r, reader.error,
                                         reader.error_offset);
                        free(damaged);
                }
}

/* The chunk at offset gets a right checksum again: what somebody hostile would send. */
static void fix_crc(uint8_t *data, size_t offset) {
        uint32_t size = le32_get(data + offset + 4);
        le32_put(data + offset + 8, crc32c(crc32c(0, data + offset, 8), data + offset + 12, size));
}

static void test_hostile_chunks_do_no_harm(void **state) {
        SegmentReader reader;
        size_t offset = SEGMENT_SIGNATURE_SIZE;
        unsigned refused = 0, total = 0;
        int r;
        (void) state;

        while (offset < sample.buffer.size) {
                uint32_t size = le32_get(sample.buffer.data + offset + 4);
                for (size_t i = 0; i < size; i++) {
                        static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
                        for (size_t v = 0; v < ELEMENTSOF(values); v++) {
                                uint8_t *hostile = copy_of(sample.buffer.data, sample.buffer.size);
                                hostile[offset + 12 + i] = values[v];
                                fix_crc(hostile, offset);
                                (void) read_all(hostile, sample.buffer.size, &r, &reader);
                                refused += r < 0;
                                total++;
                                free(hostile);
                        }
                }
                offset += 12 + size;
        }
        assert_true(refused > total / 10);
}

static void append_chunk(Buffer *buffer, uint32_t type, const char *payload, size_t size) {
        uint8_t header[12];
        size_t at = buffer->size;

        le32_put(header, type);
        le32_put(header + 4, (uint32_t) size);
        assert_return_code(buffer_append(buffer, header, sizeof(header)), 0);
        assert_return_code(buffer_append(buffer, payload, size), 0);
        fix_crc(buffer->data, at);
}

/* HEAD, then a chunk of a type that this version does not know, then the rest. */
static int read_with(uint32_t type, unsigned *ret_n, SegmentReader *reader) {
        size_t head = SEGMENT_SIGNATURE_SIZE + SEGMENT_CHUNK_HEADER_SIZE + SEGMENT_HEAD_SIZE;
        Buffer buffer = { .max = SEGMENT_SIZE_MAX };
        int r;

        assert_return_code(buffer_append(&buffer, sample.buffer.data, head), 0);
        append_chunk(&buffer, type, "whatever", 8);
        assert_return_code(buffer_append(&buffer, sample.buffer.data + head, sample.buffer.size - head), 0);
        *ret_n = read_all(buffer.data, buffer.size, &r, reader);
        buffer_done(&buffer);
        return r;
}

static void test_unknown_chunks(void **state) {
        SegmentReader reader;
        unsigned n;
        (void) state;

        assert_int_equal(read_with(SEGMENT_FOURCC('c', 'U', 'R', 'S'), &n, &reader), 0);
        assert_int_equal(n, SAMPLE_CHUNKS);
        assert_int_equal(read_with(SEGMENT_FOURCC('C', 'U', 'R', 'S'), &n, &reader), -EPROTONOSUPPORT);
        assert_int_equal(n, 1);
        assert_non_null(strstr(reader.error, "newer version"));
        assert_int_equal(read_with(SEGMENT_HEAD, &n, &reader), -EBADMSG);
        assert_int_equal(n, 1);
        /* The index then counts what is not there any more, or a frame comes before its output. */
        assert_true(read_with(SEGMENT_INDX, &n, &reader) < 0);
}

static void test_newer_version_is_named(void **state) {
        uint8_t *newer = copy_of(sample.buffer.data, sample.buffer.size);
        SegmentReader reader;
        int r;
        (void) state;

        le32_put(newer + SEGMENT_SIGNATURE_SIZE + 12, 2);
        fix_crc(newer, SEGMENT_SIGNATURE_SIZE);
        assert_int_equal(read_all(newer, sample.buffer.size, &r, &reader), 0);
        assert_int_equal(r, -EPROTONOSUPPORT);
        assert_non_null(strstr(reader.error, "version 2"));
        free(newer);
}

static void test_bytes_behind_the_index(void **state) {
        Buffer buffer = { .max = SEGMENT_SIZE_MAX };
        SegmentReader reader;
        int r;
        (void) state;

        assert_return_code(buffer_append(&buffer, sample.buffer.data, sample.buffer.size), 0);
        assert_return_code(buffer_append(&buffer, "", 1), 0);
        assert_int_equal(read_all(buffer.data, buffer.size, &r, &reader), SAMPLE_CHUNKS);
        assert_int_equal(r, -EBADMSG);
        buffer_done(&buffer);
}

static void test_writer_keeps_to_the_limit(void **state) {
        static uint8_t big[4U << 20];
        SegmentReader reader;
        SegmentWriter writer;
        unsigned n = 0;
        int r;
        (void) state;

        assert_return_code(segment_writer_init(&writer, &(SegmentHead){}), 0);
        SegmentFrame frame = { .flags = SEGMENT_FRAME_KEY,
                               .operations = big,
                               .operations_size = sizeof(big) };
        while ((r = segment_writer_frame(&writer, &frame)) >= 0)
                n++;
        assert_int_equal(r, -EFBIG);
        assert_int_equal(n, 3);
        assert_int_equal(writer.n_entries, 3);
        while (segment_writer_gap(&writer, &(SegmentGap){ .reason = SEGMENT_GAP_OFF }) >= 0)
                ;
        assert_return_code(segment_writer_finish(&writer, 0), 0);
        assert_true(writer.buffer.size <= SEGMENT_SIZE_MAX);
        assert_true(writer.buffer.size > SEGMENT_SIZE_MAX - 100);
        (void) read_all(writer.buffer.data, writer.buffer.size, &r, &reader);
        assert_int_equal(r, -EBADMSG); /* a frame without OUTP: the writer trusts its caller, the reader does
                                          not */
        segment_writer_done(&writer);
}

/* The example in docs/segment-format.md is this very segment: lines of "offset  hex bytes". */
static void test_documented_example(void **state) {
        FILE *file = fopen(SOURCE_ROOT "/docs/segment-format.md", "re");
        char line[256];
        size_t at = 0;
        (void) state;

        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                char *p = line, *end;
                unsigned long offset = strtoul(p, &end, 16);
                if (end != line + 4 || strncmp(end, "  ", 2) != 0)
                        continue;
                assert_int_equal(offset, at);
                for (p = end + 2; p[0] != '\n' && p[0] != ' '; p = end + 1) {
                        unsigned long byte = strtoul(p, &end, 16);
                        assert_true(end == p + 2 && at < sample.buffer.size);
                        if (byte != sample.buffer.data[at])
                                fail_msg("byte %zu is %02x, the document says %02lx", at,
                                         sample.buffer.data[at], byte);
                        at++;
                        if (*end == '\n')
                                break;
                }
        }
        fclose(file);
        assert_int_equal(at, sample.buffer.size);
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reads_what_was_written),
                cmocka_unit_test(test_cut_anywhere),
                cmocka_unit_test(test_vectors_cut_anywhere),
                cmocka_unit_test(test_every_damaged_byte_is_noticed),
                cmocka_unit_test(test_hostile_chunks_do_no_harm),
                cmocka_unit_test(test_unknown_chunks),
                cmocka_unit_test(test_newer_version_is_named),
                cmocka_unit_test(test_bytes_behind_the_index),
                cmocka_unit_test(test_writer_keeps_to_the_limit),
                cmocka_unit_test(test_documented_example),
        };

        /* --write FILE: the example as a file, for tests of other programs and for the document. */
        if (argc == 3 && strcmp(argv[1], "--write") == 0) {
                FILE *file = fopen(argv[2], "we");
                setup(NULL);
                return file &&
                                                       fwrite(sample.buffer.data, 1, sample.buffer.size,
                                                              file) == sample.buffer.size &&
                                                       fclose(file) == 0
                                       ? 0
                                       : 1;
        }
        return cmocka_run_group_tests(tests, setup, teardown);
}
