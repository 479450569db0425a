/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a CRTC makes of its planes: each is cut from its framebuffer (16.16 source rectangle), reflected,
 * rotated, scaled to its place on the output, and blended with what is below it. Black is below all.
 *
 * Scaling is bilinear between the centres of source pixels, clamped to the source rectangle; hardware has
 * filters of its own. An unscaled plane whose source begins at a fraction of a pixel is taken from the whole
 * pixel, as i915 does. */

#include "picture.h"
#include "source-plane.h"

#define COMPOSE_SIDE_MAX 65536U /* of a framebuffer, and of a plane on its output */

/* Source positions along one side of the framebuffer, for pixels along the plane's side on the
 * output: 32.32. */
typedef struct ComposeAxis {
        int64_t start, step;
        uint32_t first, last; /* pixels that may be read */
        bool exact;           /* each pixel is one of the framebuffer's */
} ComposeAxis;

typedef struct ComposePlane {
        SourcePlane source;
        uint32_t blend, alpha; /* enum wire_blend; 0 to 255 */
        bool opaque;
        bool transposed;                   /* a row of the output is a column of the framebuffer */
        ComposeAxis along, across;         /* for the output's columns, and for its rows */
        int64_t x, y;                      /* on the output */
        uint32_t left, top, right, bottom; /* what of it is inside the output: [left, right) */
} ComposePlane;

/* The geometry as KMS tells it: of a struct wire_plane. */
typedef struct ComposeGeometry {
        uint32_t src_x, src_y, src_w, src_h; /* 16.16 */
        int32_t crtc_x, crtc_y;
        uint32_t crtc_w, crtc_h;
        uint32_t rotation;
        uint32_t width, height;               /* of the framebuffer */
        uint32_t output_width, output_height; /* pixels of the picture */
} ComposeGeometry;

/* Fills all but source, blend, alpha and opaque. 0: nothing of the plane is on the output; 1: something is;
 * -EBADMSG: impossible, e.g. more than the framebuffer. */
int compose_geometry(ComposePlane *plane, const ComposeGeometry *geometry);

typedef struct Composition {
        uint32_t width, height;
        uint32_t n_planes; /* from the lowest */
        ComposePlane planes[WIRE_PLANES_MAX];

        uint32_t *pixels, *line, *rows; /* these and scratch grow, and are kept */
        size_t pixels_size, line_size, rows_size;
        SourceScratch scratch;
} Composition;

/* Makes room for reading the planes. -EOPNOTSUPP: one is scaled down further than is read; -ENOMEM. */
int compose_prepare(Composition *composition);
void compose_done(Composition *composition);

/* Whether it is one plane that only needs to be copied: *ret is made of it then. */
bool compose_is_copy(const Composition *composition, PicturePlane *ret);

/* A PicturePlane's compose: makes rows [top, top + n) of the picture. */
void compose_rows(void *composition, uint32_t top, uint32_t n, uint32_t *rows, size_t stride);

/* Makes the whole of a plane by itself, unclipped: width × height premultiplied pixels without gaps, which
 * is the plane's size on the output. Makes room for it first: errors as of compose_prepare(). */
int compose_prepare_layer(Composition *composition, const ComposePlane *plane, uint32_t width,
                          uint32_t height);
void compose_layer(Composition *composition, const ComposePlane *plane, uint32_t width, uint32_t height,
                   uint32_t *to);
