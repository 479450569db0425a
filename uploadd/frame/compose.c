/* SPDX-License-Identifier: Apache-2.0 */
#include "compose.h"

#include <stdlib.h>
#include <string.h>

#include <drm_mode.h>

#include "blend.h"
#include "cleanup.h"

#define BLACK 0xff000000U
#define PIXELS_MAX                                                                                          \
        (8U << 20) /* of a source rectangle for one band: what is scaled down a lot takes many              \
                    */

static uint32_t min_u32(uint32_t a, uint32_t b) {
        return a < b ? a : b;
}

/* Positions of length pixels of the output over a source's side; src and size are 16.16. */
static ComposeAxis axis_new(uint32_t src, uint32_t size, uint32_t length, bool reversed) {
        ComposeAxis axis = { .exact = size >> 16 == length, .first = src >> 16 };

        if (axis.exact) {
                axis.last = axis.first + length - 1;
                axis.step = INT64_C(1) << 32;
                axis.start = (int64_t) axis.first << 32;
        } else {
                /* The centre of an output's pixel, in source pixels from the centre of the first. */
                axis.last = (uint32_t) (((uint64_t) src + size - 1) >> 16);
                axis.step = (int64_t) (((uint64_t) size << 16) / length);
                axis.start = ((int64_t) src << 16) + axis.step / 2 - (INT64_C(1) << 31);
        }
        if (reversed) {
                axis.start += axis.step * (length - 1);
                axis.step = -axis.step;
        }
        return axis;
}

int compose_geometry(ComposePlane *plane, const ComposeGeometry *g) {
        uint32_t rotation = g->rotation & DRM_MODE_ROTATE_MASK ?: DRM_MODE_ROTATE_0;
        bool reflect_x = g->rotation & DRM_MODE_REFLECT_X, reflect_y = g->rotation & DRM_MODE_REFLECT_Y;
        bool transposed = rotation == DRM_MODE_ROTATE_90 || rotation == DRM_MODE_ROTATE_270;

        if (rotation != DRM_MODE_ROTATE_0 && rotation != DRM_MODE_ROTATE_90 &&
            rotation != DRM_MODE_ROTATE_180 && rotation != DRM_MODE_ROTATE_270)
                return -EBADMSG;
        if (g->width < 1 || g->width > COMPOSE_SIDE_MAX || g->height < 1 || g->height > COMPOSE_SIDE_MAX ||
            g->crtc_w < 1 || g->crtc_w > COMPOSE_SIDE_MAX || g->crtc_h < 1 || g->crtc_h > COMPOSE_SIDE_MAX ||
            g->src_w < 1 << 16 || g->src_h < 1 << 16)
                return -EBADMSG;
        if ((uint64_t) g->src_x + g->src_w > (uint64_t) g->width << 16 ||
            (uint64_t) g->src_y + g->src_h > (uint64_t) g->height << 16)
                return -EBADMSG;

        /* Counterclockwise, after the reflection. With 90°, the output's first row is the source's last
         * column; with 270°, its first column is the source's last row: drm_rect_rotate(). */
        bool reverse_x = reflect_x != (rotation == DRM_MODE_ROTATE_90 || rotation == DRM_MODE_ROTATE_180);
        bool reverse_y = reflect_y != (rotation == DRM_MODE_ROTATE_270 || rotation == DRM_MODE_ROTATE_180);
        ComposeAxis u = axis_new(g->src_x, g->src_w, transposed ? g->crtc_h : g->crtc_w, reverse_x);
        ComposeAxis v = axis_new(g->src_y, g->src_h, transposed ? g->crtc_w : g->crtc_h, reverse_y);
        plane->transposed = transposed;
        plane->along = transposed ? v : u;
        plane->across = transposed ? u : v;

        /* What hangs over the output's edges is not seen. */
        int64_t x = g->crtc_x, y = g->crtc_y;
        int64_t right = x + g->crtc_w < g->output_width ? x + g->crtc_w : g->output_width;
        int64_t bottom = y + g->crtc_h < g->output_height ? y + g->crtc_h : g->output_height;
        int64_t left = x > 0 ? x : 0, top = y > 0 ? y : 0;
        plane->x = x;
        plane->y = y;
        if (right <= left || bottom <= top)
                return 0;
        plane->left = (uint32_t) left;
        plane->top = (uint32_t) top;
        plane->right = (uint32_t) right;
        plane->bottom = (uint32_t) bottom;
        return 1;
}

static uint32_t axis_clamp(const ComposeAxis *axis, int64_t index) {
        return index < axis->first ? axis->first : index > axis->last ? axis->last : (uint32_t) index;
}

/* The pixels to interpolate between at a position, and how far it is from the first to the second, of 256.
 */
typedef struct Tap {
        uint32_t a, b, part;
} Tap;

static inline Tap axis_tap(const ComposeAxis *axis, int64_t position) {
        int64_t index = position >> 32;

        if (axis->exact)
                return (Tap){ axis_clamp(axis, index), axis_clamp(axis, index), 0 };
        return (Tap){ axis_clamp(axis, index), axis_clamp(axis, index + 1),
                      (uint32_t) (position >> 24) & 0xff };
}

typedef struct Span {
        uint32_t first, n;
} Span;

/* The source pixels of the output's pixels from to to, counted from the plane's corner. */
static Span axis_span(const ComposeAxis *axis, int64_t from, int64_t to) {
        Tap one = axis_tap(axis, axis->start + axis->step * from),
            other = axis_tap(axis, axis->start + axis->step * (to - 1));
        uint32_t first = min_u32(one.a, other.a);
        uint32_t last = one.b > other.b ? one.b : other.b;

        return (Span){ first, last - first + 1 };
}

/* The most that axis_span() gives for n pixels. */
static uint64_t axis_reach(const ComposeAxis *axis, uint32_t n) {
        uint64_t step = (uint64_t) (axis->step < 0 ? -axis->step : axis->step),
                 all = axis->last - axis->first + 1;
        uint64_t reach = ((n - 1) * step >> 32) + 3;

        return reach < all ? reach : all;
}

static int grow(uint32_t **pixels, size_t *size, size_t wanted) {
        if (wanted <= *size)
                return 0;
        free(*pixels);
        *pixels = calloc(wanted, sizeof(**pixels));
        *size = *pixels ? wanted : 0;
        return *pixels ? 0 : -ENOMEM;
}

/* Room for as many columns and rows of the output at a time. */
static int reserve(Composition *c, const ComposePlane *plane, uint32_t columns, uint32_t rows) {
        uint64_t along = axis_reach(&plane->along, columns), across = axis_reach(&plane->across, rows);
        uint64_t width = plane->transposed ? across : along, height = plane->transposed ? along : across;
        int r;

        if (width * height > PIXELS_MAX)
                return -EOPNOTSUPP;
        r = source_scratch_reserve(&c->scratch, &plane->source, (uint32_t) width, (uint32_t) height);
        if (r >= 0)
                r = grow(&c->pixels, &c->pixels_size, width * height);
        if (r >= 0)
                r = grow(&c->line, &c->line_size, columns);
        if (r >= 0)
                r = grow(&c->rows, &c->rows_size, 2 * along);
        return r;
}

int compose_prepare(Composition *c) {
        for (uint32_t i = 0; i < c->n_planes; i++) {
                const ComposePlane *plane = &c->planes[i];
                int r = reserve(c, plane, plane->right - plane->left,
                                min_u32(plane->bottom - plane->top, SEGMENT_TILE_HEIGHT));
                if (r < 0)
                        return r;
        }
        return 0;
}

void compose_done(Composition *c) {
        free(c->pixels);
        free(c->line);
        free(c->rows);
        source_scratch_done(&c->scratch);
        *c = (Composition){};
}

static bool is_straight(const ComposePlane *plane) {
        return plane->along.exact && plane->across.exact && !plane->transposed && plane->along.step > 0 &&
               plane->across.step > 0;
}

bool compose_is_copy(const Composition *c, PicturePlane *ret) {
        const ComposePlane *plane = &c->planes[0];
        const SourcePlane *source = &plane->source;

        if (c->n_planes != 1 || !is_straight(plane) || !plane->opaque || source->tones ||
            source->tiling != TILING_LINEAR || source->format->copy == COPY_NEVER ||
            ((uintptr_t) source->memory[0] | source->pitch[0]) % sizeof(uint32_t) != 0)
                return false;
        uint32_t x = plane->along.first + (uint32_t) (plane->left - plane->x);
        uint32_t y = plane->across.first + (uint32_t) (plane->top - plane->y);
        *ret = (PicturePlane){
                .pixels = source->memory[0] + (size_t) y * source->pitch[0] + x * sizeof(uint32_t),
                .pitch = source->pitch[0],
                .swap = source->format->copy == COPY_SWAPPED,
                .x = plane->left,
                .y = plane->top,
                .width = plane->right - plane->left,
                .height = plane->bottom - plane->top,
                .write_combined = source->write_combined,
        };
        return true;
}

/* A rectangle of a plane's source, read. */
typedef struct Patch {
        Span along, across;
        const uint32_t *pixels;
        size_t along_stride, across_stride;
} Patch;

static Patch read_patch(Composition *c, const ComposePlane *plane, int64_t x, int64_t x_end, int64_t y,
                        int64_t y_end) {
        Patch patch = { axis_span(&plane->along, x, x_end), axis_span(&plane->across, y, y_end), c->pixels,
                        1, 1 };
        Span u = plane->transposed ? patch.across : patch.along;
        Span v = plane->transposed ? patch.along : patch.across;

        source_plane_read(&plane->source, u.first, v.first, u.n, v.n, c->pixels, u.n, &c->scratch);
        *(plane->transposed ? &patch.along_stride : &patch.across_stride) = u.n;
        return patch;
}

/* A row of whole pixels, which are stride apart. */
static void sample_exact(const uint32_t *from, ptrdiff_t stride, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = from[i * stride];
}

/* Pixels that are stride apart, side by side. */
static const uint32_t *gather(const uint32_t *from, size_t stride, uint32_t n, uint32_t *to) {
        if (stride == 1)
                return from;
        sample_exact(from, (ptrdiff_t) stride, n, to);
        return to;
}

/* Between two rows of the source, then between two columns each: what two output pixels share is done once.
 */
static void sample_between(Composition *c, const ComposePlane *plane, const Patch *patch, const uint32_t *a,
                           const uint32_t *b, uint32_t part, int64_t position, uint32_t n, uint32_t *to) {
        uint32_t reach = patch->along.n, *rows[] = { c->rows, c->rows + reach };

        a = gather(a, patch->along_stride, reach, rows[0]);
        if (part > 0) {
                blend_between(rows[0], a, gather(b, patch->along_stride, reach, rows[1]), reach, part);
                a = rows[0];
        }
        for (uint32_t i = 0; i < n; i++, position += plane->along.step) {
                Tap column = axis_tap(&plane->along, position);
                to[i] = blend_mix(a[column.a - patch->along.first], a[column.b - patch->along.first],
                                  column.part);
        }
}

/* The plane's own row y, from x on. */
static void sample_row(Composition *c, const ComposePlane *plane, const Patch *patch, int64_t x, int64_t y,
                       uint32_t n, uint32_t *to) {
        Tap row = axis_tap(&plane->across, plane->across.start + plane->across.step * y);
        const uint32_t *a = patch->pixels + (row.a - patch->across.first) * patch->across_stride;
        const uint32_t *b = patch->pixels + (row.b - patch->across.first) * patch->across_stride;
        int64_t position = plane->along.start + plane->along.step * x;

        if (plane->along.exact && plane->across.exact) {
                uint32_t first = axis_tap(&plane->along, position).a - patch->along.first;
                ptrdiff_t stride = (ptrdiff_t) patch->along_stride;
                sample_exact(a + first * patch->along_stride, plane->along.step > 0 ? stride : -stride, n,
                             to);
        } else
                sample_between(c, plane, patch, a, b, row.part, position, n, to);
}

/* Puts the plane's part of some of the output's rows over what is there. */
static void draw(Composition *c, const ComposePlane *plane, uint32_t top, uint32_t bottom, uint32_t *rows,
                 size_t stride) {
        int64_t x = plane->left - plane->x, y = plane->top > top ? plane->top : top;
        int64_t end = plane->bottom < bottom ? plane->bottom : bottom;
        uint32_t n = plane->right - plane->left;

        if (end <= y)
                return;
        uint32_t *to = rows + (size_t) (y - top) * stride + plane->left;
        if (plane->opaque && is_straight(plane)) {
                source_plane_read(&plane->source, plane->along.first + (uint32_t) x,
                                  plane->across.first + (uint32_t) (y - plane->y), n, (uint32_t) (end - y),
                                  to, stride, &c->scratch);
                return;
        }
        int64_t first = y - plane->y;
        Patch patch = read_patch(c, plane, x, x + n, first, end - plane->y);
        for (; y < end; y++, to += stride) {
                if (is_straight(plane)) {
                        const uint32_t *row =
                                        patch.pixels + (size_t) (y - plane->y - first) * patch.across_stride;
                        blend_row(to, row, n, plane->blend, plane->alpha);
                        continue;
                }
                sample_row(c, plane, &patch, x, y - plane->y, n, plane->opaque ? to : c->line);
                if (!plane->opaque)
                        blend_row(to, c->line, n, plane->blend, plane->alpha);
        }
}

/* The lowest plane that can be seen in these rows; n_planes: below them all there is black. */
static uint32_t find_base(const Composition *c, uint32_t top, uint32_t bottom) {
        for (uint32_t i = c->n_planes; i > 0; i--) {
                const ComposePlane *plane = &c->planes[i - 1];
                if (plane->opaque && plane->left == 0 && plane->right == c->width && plane->top <= top &&
                    plane->bottom >= bottom)
                        return i - 1;
        }
        return c->n_planes;
}

void compose_rows(void *composition, uint32_t top, uint32_t n, uint32_t *rows, size_t stride) {
        Composition *c = composition;
        uint32_t base = find_base(c, top, top + n);

        if (base == c->n_planes) {
                base = 0;
                for (uint32_t i = 0; i < n; i++)
                        for (uint32_t x = 0; x < c->width; x++)
                                rows[i * stride + x] = BLACK;
        }
        for (uint32_t i = base; i < c->n_planes; i++)
                draw(c, &c->planes[i], top, top + n, rows, stride);
}

int compose_prepare_layer(Composition *c, const ComposePlane *plane, uint32_t width, uint32_t height) {
        return reserve(c, plane, width, min_u32(height, SEGMENT_TILE_HEIGHT));
}

void compose_layer(Composition *c, const ComposePlane *plane, uint32_t width, uint32_t height,
                   uint32_t *to) {
        for (uint32_t top = 0; top < height; top += SEGMENT_TILE_HEIGHT) {
                uint32_t end = min_u32(top + SEGMENT_TILE_HEIGHT, height);
                Patch patch = read_patch(c, plane, 0, width, top, end);
                for (uint32_t y = top; y < end; y++, to += width) {
                        sample_row(c, plane, &patch, 0, y, width, c->line);
                        blend_premultiply(to, c->line, width, plane->blend, plane->alpha);
                }
        }
}
