/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Decoding is compositing: what an output showed is what its frames, from a keyframe on, drew over each
 * other.
 */

#include "segment-reader.h"

typedef struct SegmentCanvas {
        uint32_t width, height;
        size_t stride;   /* bytes from row to row: 4 * width */
        uint8_t *pixels; /* blue, green, red, unused */

        uint8_t *before; /* as large: the picture before the frame; NULL until there is one */
        /* The last SEGMENT_DICTIONARY_TILES tiles that were NEW since the keyframe, as pixels: a ring. */
        uint8_t *dictionary;
        uint32_t dictionary_capacity; /* tiles; grows up to all */
        uint32_t n_new;               /* tiles since the keyframe */

        SegmentTables coarse; /* JCOA, for the caller to set; the caller's as the tables of each frame */
} SegmentCanvas;

/* A black picture. -EINVAL: the size is out of the format's bounds; -ENOMEM. */
int segment_canvas_init(SegmentCanvas *canvas, uint32_t width, uint32_t height);
void segment_canvas_done(SegmentCanvas *canvas);

/* Draws a frame that the reader has checked against an output of this canvas's size, with the JTAB in force.
 * Every frame since the keyframe must have been drawn. -EBADMSG: libjpeg finds the data damaged, or a frame
 * was left out; -ENOMEM. The picture is then as before, and the next frame must be a keyframe. */
int segment_canvas_draw(SegmentCanvas *canvas, const SegmentTables *tables, const SegmentFrame *frame);
