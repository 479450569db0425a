/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The mouse pointer as a reader draws it: over the picture, which itself stays as it is. */

#include "segment-canvas.h"

/* The images of one segment, and what is beneath the one that is drawn now. All zero is valid. */
typedef struct SegmentCursors {
        struct {
                uint32_t width, height;
                uint8_t *pixels; /* owned: premultiplied B, G, R, A */
        } images[SEGMENT_CURSORS_MAX];

        uint32_t x, y, width, height; /* of the canvas, drawn over; 0 × 0: nothing */
        uint8_t *beneath;             /* of it */
} SegmentCursors;

/* Forgets everything: another segment begins. Nothing is drawn. */
void segment_cursors_done(SegmentCursors *cursors);

/* Keeps an image that the reader gave. -EBADMSG: the compressed data is damaged; -ENOMEM. */
int segment_cursors_add(SegmentCursors *cursors, const SegmentCursorImage *image);

/* Draws one that the reader has checked, unless it is hidden; one canvas at a time. -ENOMEM; -EBADMSG: its
 * image was left out. */
int segment_cursors_show(SegmentCursors *cursors, const SegmentCursor *cursor, SegmentCanvas *canvas);
/* Brings back what was beneath: before the canvas is drawn on again. */
void segment_cursors_hide(SegmentCursors *cursors, SegmentCanvas *canvas);
