/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a decoder must show, found in another way than the decoder's: tiles are cut out of a compression of
 * the whole frame by libjpeg, and what moved is checked against the source pixels. */

#include "segment-canvas.h"

/* The whole picture through libjpeg and back, with the quantisation of the tables: width * height * 4 bytes,
 * the caller's. */
uint8_t *reference_jpeg(const uint32_t *pixels, uint32_t width, uint32_t height,
                        const SegmentTables *tables);

/* A canvas that goes from frame to frame. */
typedef struct Reference {
        uint32_t width, height;
        uint8_t *pixels;
        uint32_t *source;     /* of the frame before */
        SegmentTables coarse; /* of JCOA, for the caller to set if there is one */
} Reference;

void reference_init(Reference *reference, uint32_t width, uint32_t height);
void reference_done(Reference *reference);

/* Applies a frame made of source. NULL, or what is wrong with the frame itself. */
const char *reference_frame(Reference *reference, const uint32_t *source, const SegmentTables *tables,
                            const SegmentFrame *frame);

/* Whether a canvas shows just that. */
bool reference_equal(const Reference *reference, const SegmentCanvas *canvas);
