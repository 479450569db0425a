/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "segment-sample.h"

static void sample_frame(SegmentWriter *writer, Encoder *encoder, uint64_t time, uint32_t corner) {
        static uint32_t pixels[10][80];
        const PicturePlane plane = {
                .pixels = (const uint8_t *) pixels, .pitch = sizeof(pixels[0]), .width = 80, .height = 10
        };
        EncodedFrame encoded;
        bool key = false;

        for (int y = 0; y < 10; y++)
                for (int x = 0; x < 80; x++)
                        pixels[y][x] = x < 40 ? 0x2040c0 : 0xf0e0d0;
        pixels[9][79] = corner;
        assert_return_code(encoder_prepare(encoder, 3, 80, 10), 0);
        (void) encoder_draw(encoder, 3, &plane);
        assert_true(encoder_encode(encoder, 3, false, &key, &encoded) >= 0);
        encoder_keep(encoder, 3);
        assert_return_code(segment_writer_frame(writer, &(SegmentFrame){ 3, key ? SEGMENT_FRAME_KEY : 0,
                                                                         time, encoded.n_operations,
                                                                         encoded.operations->data,
                                                                         encoded.operations->size }),
                           0);
}

void segment_sample(SegmentWriter *writer) {
        const SegmentHead head = {
                .sequence = 7,
                .device = { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x41, 0x11, 0x81, 0x11, 0x11, 0x11, 0x11,
                            0x11, 0x11, 0x11 },
                .recording = { 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x42, 0x22, 0x82, 0x22, 0x22, 0x22, 0x22,
                               0x22, 0x22, 0x22 },
                .start_realtime = 1767225600000000, /* 2026-01-01T00:00:00Z */
                .previous_sha256 = { 0xab, 0xcd },
                .software = "streamsight-uploadd 0.1.0",
        };
        const SegmentOutput output = { 3, 80, 10, 60000, "Virtual-1" };
        const SegmentGap gap = { .output = 3, .reason = SEGMENT_GAP_OFF, .time = 2000000 };
        Encoder *encoder = NULL;

        assert_return_code(encoder_new(&encoder, 85), 0);
        SegmentTables tables = encoder_tables(encoder);
        assert_return_code(segment_writer_init(writer, &head), 0);
        assert_return_code(segment_writer_tables(writer, tables.data, tables.size), 0);
        assert_return_code(segment_writer_output(writer, &output), 0);
        sample_frame(writer, encoder, 0, 0);
        sample_frame(writer, encoder, 1000000, 0xffffff);
        assert_return_code(segment_writer_gap(writer, &gap), 0);
        sample_frame(writer, encoder, 3000000, 0xffffff);
        assert_return_code(segment_writer_finish(writer, 4000000), 0);
        encoder_free(encoder);
}
