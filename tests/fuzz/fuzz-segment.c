/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a segment: parsed whole, every frame drawn. The checksums are made right first, or nothing
 * would get past them. */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "segment-cursor.h"
#include "segment-input.h"

static void play(const uint8_t *data, size_t size) {
        static SegmentReader reader;
        SegmentCanvas canvases[SEGMENT_OUTPUT_MAX] = {};
        SegmentCursors cursors = {};
        SegmentTables tables = {}, coarse = {};
        SegmentChunk chunk;

        segment_reader_init(&reader, data, size);
        while (segment_reader_next(&reader, &chunk) > 0)
                switch (chunk.type) {
                case SEGMENT_OUTP:
                        segment_canvas_done(&canvases[chunk.output.id]);
                        if ((uint64_t) chunk.output.width * chunk.output.height <= PIXELS_MAX)
                                (void) segment_canvas_init(&canvases[chunk.output.id], chunk.output.width,
                                                           chunk.output.height);
                        break;
                case SEGMENT_JTAB:
                        tables = chunk.tables;
                        break;
                case SEGMENT_JCOA:
                        coarse = chunk.tables;
                        break;
                case SEGMENT_FRAM:
                        canvases[chunk.frame.output].coarse = coarse;
                        if (canvases[chunk.frame.output].pixels)
                                (void) segment_canvas_draw(&canvases[chunk.frame.output], &tables,
                                                           &chunk.frame);
                        break;
                case SEGMENT_CIMG:
                        (void) segment_cursors_add(&cursors, &chunk.cursor_image);
                        break;
                case SEGMENT_CPOS:
                        if (!canvases[chunk.cursor.output].pixels)
                                break;
                        (void) segment_cursors_show(&cursors, &chunk.cursor, &canvases[chunk.cursor.output]);
                        segment_cursors_hide(&cursors, &canvases[chunk.cursor.output]);
                        break;
                default:
                        break;
                }
        segment_cursors_done(&cursors);
        for (uint32_t i = 0; i < SEGMENT_OUTPUT_MAX; i++)
                segment_canvas_done(&canvases[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < SEGMENT_SIGNATURE_SIZE)
                return 0;
        uint8_t *copy = malloc(size);
        if (!copy)
                return 0;
        memcpy(copy, data, size);
        (void) segment_input_fix(copy, size);
        play(copy, size);
        free(copy);
        return 0;
}
