/* SPDX-License-Identifier: Apache-2.0 */

/* Composition against one that goes pixel by pixel in floating point, from the words of drm-kms(7) and
 * drm_blend.c. */

#include "unit.h"

#include <math.h>
#include <string.h>

#include <drm_fourcc.h>
#include <drm_mode.h>

#include "cleanup.h"
#include "compose.h"
#include "draw.h"
#include "random.h"

typedef struct Color {
        double c[4]; /* blue, green, red, alpha: 0 to 255 */
} Color;

/* A plane as its owner would describe it. */
typedef struct TestPlane {
        uint32_t format, blend, alpha; /* alpha: 0 to 255 */
        ComposeGeometry geometry;
        uint32_t pitch;
        uint8_t *memory;
} TestPlane;

static unsigned bytes_of(uint32_t format) {
        return format == DRM_FORMAT_RGB565 ? 2 : 4;
}

static bool has_alpha(uint32_t format) {
        return format == DRM_FORMAT_ARGB8888 || format == DRM_FORMAT_ABGR8888;
}

static Color source_pixel(const TestPlane *plane, uint32_t x, uint32_t y) {
        const uint8_t *p = plane->memory + y * plane->pitch + x * bytes_of(plane->format);

        switch (plane->format) {
        case DRM_FORMAT_RGB565: {
                unsigned v = p[0] | p[1] << 8;
                return (Color){ { (v & 31) * 255.0 / 31, (v >> 5 & 63) * 255.0 / 63, (v >> 11) * 255.0 / 31,
                                  255 } };
        }
        case DRM_FORMAT_XBGR8888:
        case DRM_FORMAT_ABGR8888:
                return (Color){ { p[2], p[1], p[0], has_alpha(plane->format) ? p[3] : 255 } };
        default:
                return (Color){ { p[0], p[1], p[2], has_alpha(plane->format) ? p[3] : 255 } };
        }
}

typedef struct Axis {
        uint32_t a, b; /* the pixels on both sides */
        double part;
} Axis;

/* Where in a source from src on, of size (both in pixels), the part from 0 to 1 is. */
static Axis axis_at(double src, double size, uint32_t shown, double part) {
        double first = floor(src), last = ceil(src + size) - 1, position;

        if (floor(size) == shown) {
                double at = first + floor(part * shown);
                return (Axis){ (uint32_t) at, (uint32_t) at, 0 };
        }
        position = src + part * size - 0.5;
        double a = fmin(fmax(floor(position), first), last),
               b = fmin(fmax(floor(position) + 1, first), last);
        return (Axis){ (uint32_t) a, (uint32_t) b, position - floor(position) };
}

static Color mix(Color a, Color b, double part) {
        for (unsigned i = 0; i < 4; i++)
                a.c[i] += (b.c[i] - a.c[i]) * part;
        return a;
}

/* What the plane shows at a point of itself, x and y from 0 to 1. */
static Color plane_color(const TestPlane *plane, double x, double y) {
        const ComposeGeometry *g = &plane->geometry;
        double u = x, v = y;
        uint32_t shown_u = g->crtc_w, shown_v = g->crtc_h;

        /* Turned back clockwise, then reflected back. */
        switch (g->rotation & DRM_MODE_ROTATE_MASK) {
        case DRM_MODE_ROTATE_90:
                u = 1 - y, v = x, shown_u = g->crtc_h, shown_v = g->crtc_w;
                break;
        case DRM_MODE_ROTATE_180:
                u = 1 - x, v = 1 - y;
                break;
        case DRM_MODE_ROTATE_270:
                u = y, v = 1 - x, shown_u = g->crtc_h, shown_v = g->crtc_w;
                break;
        }
        if (g->rotation & DRM_MODE_REFLECT_X)
                u = 1 - u;
        if (g->rotation & DRM_MODE_REFLECT_Y)
                v = 1 - v;

        Axis h = axis_at(g->src_x / 65536.0, g->src_w / 65536.0, shown_u, u),
             w = axis_at(g->src_y / 65536.0, g->src_h / 65536.0, shown_v, v);
        return mix(mix(source_pixel(plane, h.a, w.a), source_pixel(plane, h.b, w.a), h.part),
                   mix(source_pixel(plane, h.a, w.b), source_pixel(plane, h.b, w.b), h.part), w.part);
}

/* The formulas of drm_plane_create_blend_mode_property(). */
static Color blended(const TestPlane *plane, Color fg, Color bg) {
        double alpha = plane->alpha / 255.0, own = fg.c[3] / 255;

        for (unsigned i = 0; i < 3; i++)
                if (!has_alpha(plane->format) || plane->blend == WIRE_BLEND_NONE)
                        bg.c[i] = alpha * fg.c[i] + (1 - alpha) * bg.c[i];
                else if (plane->blend == WIRE_BLEND_PREMULTIPLIED)
                        bg.c[i] = fmin(alpha * fg.c[i] + (1 - alpha * own) * bg.c[i], 255);
                else
                        bg.c[i] = alpha * own * fg.c[i] + (1 - alpha * own) * bg.c[i];
        return bg;
}

static Color output_color(const TestPlane *planes, uint32_t n, uint32_t x, uint32_t y) {
        Color color = {};

        for (uint32_t i = 0; i < n; i++) {
                const ComposeGeometry *g = &planes[i].geometry;
                int64_t left = (int64_t) x - g->crtc_x, top = (int64_t) y - g->crtc_y;

                if (left >= 0 && left < g->crtc_w && top >= 0 && top < g->crtc_h)
                        color = blended(&planes[i],
                                        plane_color(&planes[i], (left + 0.5) / g->crtc_w,
                                                    (top + 0.5) / g->crtc_h),
                                        color);
        }
        return color;
}

static const uint32_t formats[] = { DRM_FORMAT_XRGB8888, DRM_FORMAT_ARGB8888, DRM_FORMAT_XBGR8888,
                                    DRM_FORMAT_ABGR8888, DRM_FORMAT_RGB565 };
static const uint32_t rotations[] = { 0, DRM_MODE_ROTATE_0, DRM_MODE_ROTATE_90, DRM_MODE_ROTATE_180,
                                      DRM_MODE_ROTATE_270 };

/* A source's beginning and length within size, in 16.16. */
static void random_cut(uint32_t size, uint32_t *ret_start, uint32_t *ret_length) {
        uint32_t start = random_below(size), length = 1 + random_below(size - start);

        *ret_start = start << 16;
        *ret_length = length << 16;
        if (random_below(3) == 0 && start + length < size) {
                *ret_start += random_below(1 << 16);
                *ret_length += random_below(1 << 16) / 2;
                if (*ret_start + *ret_length > size << 16)
                        *ret_length = (size << 16) - *ret_start;
        }
}

static TestPlane random_plane(uint32_t width, uint32_t height) {
        TestPlane plane = {
                .format = formats[random_below(5)],
                .blend = random_below(3),
                .alpha = random_below(2) ? 255 : random_below(256),
                .geometry = { .width = 1 + random_below(90),
                              .height = 1 + random_below(60),
                              .output_width = width,
                              .output_height = height },
        };
        ComposeGeometry *g = &plane.geometry;

        random_cut(g->width, &g->src_x, &g->src_w);
        random_cut(g->height, &g->src_y, &g->src_h);
        if (random_below(2))
                g->rotation = rotations[random_below(5)] | random_below(4) << 4;
        bool transposed = g->rotation & (DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_270);
        g->crtc_w = (transposed ? g->src_h : g->src_w) >> 16;
        g->crtc_h = (transposed ? g->src_w : g->src_h) >> 16;
        if (random_below(3) == 0)
                g->crtc_w = 1 + random_below(2 * width);
        if (random_below(3) == 0)
                g->crtc_h = 1 + random_below(2 * height);
        g->crtc_x = (int32_t) random_below(width + g->crtc_w) - (int32_t) g->crtc_w;
        g->crtc_y = (int32_t) random_below(height + g->crtc_h) - (int32_t) g->crtc_h;

        plane.pitch = g->width * bytes_of(plane.format) + random_below(3) * 4;
        size_t size = (size_t) plane.pitch * (g->height - 1) + g->width * bytes_of(plane.format);
        plane.memory = malloc(size); /* to the byte: AddressSanitizer looks */
        random_fill(plane.memory, size);
        return plane;
}

static bool add(Composition *composition, const TestPlane *plane, bool write_combined) {
        ComposePlane composed = {
                .source = { .format = pixel_format_find(plane->format),
                            .memory = { plane->memory },
                            .pitch = { plane->pitch },
                            .write_combined = write_combined },
                .alpha = plane->alpha,
                .blend = has_alpha(plane->format) ? plane->blend : WIRE_BLEND_NONE,
        };
        int visible = compose_geometry(&composed, &plane->geometry);

        assert_return_code(visible, 0);
        composed.opaque = composed.alpha == 255 && composed.blend == WIRE_BLEND_NONE;
        if (visible && composed.alpha > 0)
                composition->planes[composition->n_planes++] = composed;
        return visible;
}

static void check(const Picture *picture, const TestPlane *planes, uint32_t n, double tolerance) {
        for (uint32_t y = 0; y < picture->height; y++)
                for (uint32_t x = 0; x < picture->width; x++) {
                        Color wanted = output_color(planes, n, x, y);
                        uint32_t got = picture->pixels[y * picture->stride + x];
                        for (unsigned i = 0; i < 3; i++)
                                if (fabs((got >> 8 * i & 0xff) - wanted.c[i]) > tolerance) {
                                        print_error("%u planes, pixel %u, %u is %#08x: channel %u should be %g\n",
                                                    n, x, y, got, i, wanted.c[i]);
                                        fail();
                                }
                }
}

static void test_random_planes(void **state) {
        Composition composition = {};
        unsigned copies = 0, shown = 0;
        (void) state;

        random_begin();
        for (unsigned round = 0; round < 1500; round++) {
                uint32_t width = 1 + random_below(150), height = 1 + random_below(60),
                         n = 1 + random_below(4);
                TestPlane planes[4];
                Picture picture;
                PicturePlane copy;

                composition.width = width;
                composition.height = height;
                composition.n_planes = 0;
                for (uint32_t i = 0; i < n; i++) {
                        planes[i] = random_plane(width, height);
                        shown += add(&composition, &planes[i], random_below(2));
                }
                const PicturePlane composed = { .compose = compose_rows, .composition = &composition };
                assert_return_code(picture_init(&picture, width, height), 0);
                assert_return_code(compose_prepare(&composition), 0);
                draw(&picture, &composed);
                /* Each blend and each interpolation rounds once or twice. */
                check(&picture, planes, n, 2.5 + 0.75 * n);
                if (compose_is_copy(&composition, &copy)) {
                        draw(&picture, &copy);
                        check(&picture, planes, n, 0);
                        copies++;
                }
                picture_done(&picture);
                for (uint32_t i = 0; i < n; i++)
                        free(planes[i].memory);
        }
        assert_true(copies > 5 && shown > 1000);
        compose_done(&composition);
}

/* The four corners of a picture that is not symmetrical, under each rotation and reflection: by hand. */
static void test_corners(void **state) {
        static const struct {
                uint32_t rotation;
                const char *corners; /* of the output: top left, top right, bottom left, bottom right */
        } cases[] = {
                { 0, "ABCD" },
                { DRM_MODE_ROTATE_90, "BDAC" },
                { DRM_MODE_ROTATE_180, "DCBA" },
                { DRM_MODE_ROTATE_270, "CADB" },
                { DRM_MODE_ROTATE_0 | DRM_MODE_REFLECT_X, "BADC" },
                { DRM_MODE_ROTATE_0 | DRM_MODE_REFLECT_Y, "CDAB" },
                { DRM_MODE_ROTATE_90 | DRM_MODE_REFLECT_X, "ACBD" },
                { DRM_MODE_ROTATE_270 | DRM_MODE_REFLECT_X, "DBCA" },
        };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool transposed = cases[i].rotation & (DRM_MODE_ROTATE_90 | DRM_MODE_ROTATE_270);
                uint32_t memory[6] = { 'A', 0, 'B', 'C', 0, 'D' }, rows[6];
                uint32_t width = transposed ? 2 : 3, height = transposed ? 3 : 2;
                TestPlane plane = { DRM_FORMAT_XRGB8888,
                                    0,
                                    255,
                                    { 0, 0, 3 << 16, 2 << 16, 0, 0, width, height, cases[i].rotation, 3, 2,
                                      width, height },
                                    12,
                                    (uint8_t *) memory };
                Composition composition = { .width = width, .height = height };

                assert_true(add(&composition, &plane, false));
                assert_return_code(compose_prepare(&composition), 0);
                compose_rows(&composition, 0, height, rows, width);
                const uint32_t got[] = { rows[0], rows[width - 1], rows[(height - 1) * width],
                                         rows[height * width - 1] };
                for (unsigned corner = 0; corner < 4; corner++)
                        assert_int_equal(got[corner] & 0xff, cases[i].corners[corner]);
                compose_done(&composition);
        }
}

static void test_what_is_only_copied(void **state) {
        static uint32_t memory[64 * 8];
        TestPlane plane = { DRM_FORMAT_XRGB8888,
                            0,
                            255,
                            { 0, 0, 64 << 16, 8 << 16, 0, 0, 64, 8, DRM_MODE_ROTATE_0, 64, 8, 64, 8 },
                            256,
                            (uint8_t *) memory };
        Composition composition = { .width = 64, .height = 8 };
        PicturePlane copy;
        (void) state;

        assert_true(add(&composition, &plane, false));
        assert_true(compose_is_copy(&composition, &copy));
        assert_ptr_equal(copy.pixels, memory);
        assert_null(copy.compose);
        /* Nothing is allocated for it. */
        assert_null(composition.pixels);
        assert_null(composition.scratch.bytes);

        assert_true(add(&composition, &plane, false));
        assert_false(compose_is_copy(&composition, &copy));
        composition.n_planes = 1;
        composition.planes[0].source.tiling = TILING_X;
        assert_false(compose_is_copy(&composition, &copy));
        composition.n_planes = 0;
        plane.geometry.rotation = DRM_MODE_ROTATE_180;
        assert_true(add(&composition, &plane, false));
        assert_false(compose_is_copy(&composition, &copy));
}

/* Blending exhausts every value: within one of the exact result, and neither black nor white is touched. */
static void test_layer(void **state) {
        uint32_t argb[256], layer[256];
        Composition composition = {};
        (void) state;

        for (uint32_t mode = 0; mode < 3; mode++)
                for (uint32_t alpha = 1; alpha < 256; alpha += 127) {
                        TestPlane plane = {
                                DRM_FORMAT_ARGB8888,
                                mode,
                                alpha,
                                { 0, 0, 256 << 16, 1 << 16, -100, -100, 256, 1, 0, 256, 1, 4, 4 },
                                1024,
                                (uint8_t *) argb
                        };
                        for (uint32_t i = 0; i < 256; i++)
                                argb[i] = i << 24 | (mode == WIRE_BLEND_PREMULTIPLIED ? i : 200) * 0x10101;
                        ComposePlane composed = {
                                .source = { .format = pixel_format_find(plane.format),
                                            .memory = { plane.memory },
                                            .pitch = { 1024 } },
                                .alpha = alpha,
                                .blend = mode,
                        };
                        assert_int_equal(compose_geometry(&composed, &plane.geometry), 0); /* outside */
                        assert_return_code(compose_prepare_layer(&composition, &composed, 256, 1), 0);
                        compose_layer(&composition, &composed, 256, 1, layer);
                        for (uint32_t i = 0; i < 256; i++) {
                                double own = mode == WIRE_BLEND_NONE ? 1 : i / 255.0;
                                double share = mode == WIRE_BLEND_PREMULTIPLIED ? alpha : alpha * own;
                                double color = (argb[i] & 0xff) * share / 255;
                                assert_true(fabs((layer[i] >> 24) - alpha * own) <= 1);
                                assert_true(fabs((layer[i] & 0xff) - color) <= 1);
                        }
                }
        compose_done(&composition);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_planes),
                cmocka_unit_test(test_corners),
                cmocka_unit_test(test_what_is_only_copied),
                cmocka_unit_test(test_layer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
