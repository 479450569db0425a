/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The mouse pointer, beside the picture: an image is written once a segment, then only where it is. A
 * pointer that moves changes no tile. */

#include "segment-writer.h"

/* What a cursor plane shows with a frame. Whoever reads the planes fills it, and keeps the cursor out of the
 * picture; a plane that this cannot describe (scaled, rotated, larger than SEGMENT_CURSOR_SIDE, beneath
 * another plane) is drawn into the picture instead, with the cursor here not visible. */
typedef struct Cursor {
        bool visible; /* false: no cursor plane, or it shows nothing; the rest counts for nothing */
        int32_t x, y; /* of the image's upper left pixel on the output (CRTC_X, CRTC_Y) */
        uint32_t width, height; /* of the image, pixels */
        int32_t hot_x, hot_y;   /* the pixel that points (HOTSPOT_X, HOTSPOT_Y), 0, 0 if not known */
        size_t pitch;           /* bytes from row to row */
        const uint8_t *pixels;  /* B, G, R, A, premultiplied, plane's alpha included; borrowed */
} Cursor;

typedef struct CursorLayer CursorLayer;

/* -ENOMEM, or what getrandom() says. */
int cursor_layer_new(CursorLayer **ret);
CursorLayer *cursor_layer_free(CursorLayer *layer);
DEFINE_CLEANUP(CursorLayer *, cursor_layer_freep, cursor_layer_free)

/* A segment begins: no image is in it yet, and no output shows a cursor. */
void cursor_layer_restart(CursorLayer *layer);
/* Likewise of one output, whose OUTP was written. */
void cursor_layer_restart_output(CursorLayer *layer, uint32_t output);

/* Takes what an output of width × height shows, copying the image if it is another. Out of bounds is as not
 * visible. 1 if it is not as the time before, 0 if it is, or -ENOMEM. */
int cursor_layer_set(CursorLayer *layer, uint32_t output, uint32_t width, uint32_t height,
                     const Cursor *cursor);

/* Writes what has changed of it since it was last written: 1, or 0 if nothing has. Comes behind OUTP of the
 * output and before its frame of the same time. Errors of the writer, with nothing noted as written. */
int cursor_layer_write(CursorLayer *layer, SegmentWriter *writer, uint32_t output, uint64_t time);
