/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a decoder must show, found in another way than the decoder's: tiles are cut out of a compression of
 * the whole frame by libjpeg, and for each pixel it is known of which pixel of a source it was made, so that
 * a change that no operation draws is noticed as well as one that is drawn wrongly. */

#include "segment-canvas.h"

/* The whole picture through libjpeg and back, with the quantisation of the tables: width * height * 4 bytes,
 * the caller's. */
uint8_t *reference_jpeg(const uint32_t *pixels, uint32_t width, uint32_t height,
                        const SegmentTables *tables);

#define REFERENCE_NONE UINT32_MAX /* no pixel of a source: their fourth byte is 0 here */

/* A canvas that goes from frame to frame. */
typedef struct Reference {
        uint32_t width, height;
        uint8_t *pixels;
        uint32_t *came; /* the source's pixel that each was made of, in full or coarsely; REFERENCE_NONE */
        SegmentTables coarse; /* of JCOA, for the caller to set if there is one */
} Reference;

void reference_init(Reference *reference, uint32_t width, uint32_t height);
void reference_done(Reference *reference);

/* Applies a frame made of source, or the lack of one if nothing changed: no operations. NULL, or what is
 * wrong with the frame itself. */
const char *reference_frame(Reference *reference, const uint32_t *source, const SegmentTables *tables,
                            const SegmentFrame *frame);

/* Whether a canvas shows just that. */
bool reference_equal(const Reference *reference, const SegmentCanvas *canvas);
