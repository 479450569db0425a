/* SPDX-License-Identifier: Apache-2.0 */

/* Formats and colours against the standards' formulas in floating point, written from drm_fourcc.h and the
 * recommendations themselves. */

#include "unit.h"

#include <math.h>
#include <string.h>

#include <drm_fourcc.h>

#include "random.h"
#include "source-plane.h"

typedef struct Color {
        double r, g, b, a; /* 0 to 1 */
} Color;

#define WIDTH  53U
#define HEIGHT 11U
#define PITCH  256U

typedef struct Image {
        uint32_t format;
        uint8_t luma[PITCH * HEIGHT], chroma[PITCH * HEIGHT];
        uint32_t encoding, range;
} Image;

static uint32_t bits(uint32_t value, unsigned first, unsigned n) {
        return value >> first & ((1U << n) - 1);
}

static double part(uint32_t value, unsigned first, unsigned n) {
        return bits(value, first, n) / (double) ((1U << n) - 1);
}

static double clip(double v) {
        return fmin(fmax(v, 0), 1);
}

/* Y'CbCr as numbers of a depth to R'G'B'. */
static Color from_yuv(const Image *image, double y, double cb, double cr, unsigned depth) {
        static const double red[] = { 0.299, 0.2126, 0.2627 }, blue[] = { 0.114, 0.0722, 0.0593 };
        double kr = red[image->encoding], kb = blue[image->encoding], unit = 1 << (depth - 8);
        double most = (1 << depth) - 1, middle = 1 << (depth - 1);
        bool full = image->range == WIRE_COLOR_FULL;

        y = full ? y / most : (y / unit - 16) / 219;
        cb = full ? (cb - middle) / most : (cb - middle) / unit / 224;
        cr = full ? (cr - middle) / most : (cr - middle) / unit / 224;
        double r = y + 2 * (1 - kr) * cr, b = y + 2 * (1 - kb) * cb;
        return (Color){ clip(r), clip((y - kr * r - kb * b) / (1 - kr - kb)), clip(b), 1 };
}

static uint32_t little(const uint8_t *bytes, unsigned n) {
        uint32_t value = 0;
        while (n-- > 0)
                value = value << 8 | bytes[n];
        return value;
}

static Color pixel_at(const Image *image, uint32_t x, uint32_t y) {
        const uint8_t *row = image->luma + y * PITCH, *chroma = image->chroma + y / 2 * PITCH;
        uint32_t p = x < PITCH / 4 ? little(row + x * 4, 4) : 0;

        switch (image->format) {
        case DRM_FORMAT_XRGB8888:
                return (Color){ part(p, 16, 8), part(p, 8, 8), part(p, 0, 8), 1 };
        case DRM_FORMAT_ARGB8888:
                return (Color){ part(p, 16, 8), part(p, 8, 8), part(p, 0, 8), part(p, 24, 8) };
        case DRM_FORMAT_XBGR8888:
                return (Color){ part(p, 0, 8), part(p, 8, 8), part(p, 16, 8), 1 };
        case DRM_FORMAT_ABGR8888:
                return (Color){ part(p, 0, 8), part(p, 8, 8), part(p, 16, 8), part(p, 24, 8) };
        case DRM_FORMAT_RGB565:
                p = little(row + x * 2, 2);
                return (Color){ part(p, 11, 5), part(p, 5, 6), part(p, 0, 5), 1 };
        case DRM_FORMAT_XRGB2101010:
                return (Color){ part(p, 20, 10), part(p, 10, 10), part(p, 0, 10), 1 };
        case DRM_FORMAT_ARGB2101010:
                return (Color){ part(p, 20, 10), part(p, 10, 10), part(p, 0, 10), part(p, 30, 2) };
        case DRM_FORMAT_XBGR2101010:
                return (Color){ part(p, 0, 10), part(p, 10, 10), part(p, 20, 10), 1 };
        case DRM_FORMAT_ABGR2101010:
                return (Color){ part(p, 0, 10), part(p, 10, 10), part(p, 20, 10), part(p, 30, 2) };
        case DRM_FORMAT_NV12:
                return from_yuv(image, row[x], chroma[x / 2 * 2], chroma[x / 2 * 2 + 1], 8);
        case DRM_FORMAT_P010:
                return from_yuv(image, bits(little(row + x * 2, 2), 6, 10),
                                bits(little(chroma + x / 2 * 4, 2), 6, 10),
                                bits(little(chroma + x / 2 * 4 + 2, 2), 6, 10), 10);
        case DRM_FORMAT_YUYV:
                return from_yuv(image, row[x * 2], row[x / 2 * 4 + 1], row[x / 2 * 4 + 3], 8);
        default:
                fail();
                return (Color){};
        }
}

static const uint32_t all_formats[] = {
        DRM_FORMAT_XRGB8888,    DRM_FORMAT_ARGB8888,    DRM_FORMAT_XBGR8888,    DRM_FORMAT_ABGR8888,
        DRM_FORMAT_RGB565,      DRM_FORMAT_XRGB2101010, DRM_FORMAT_ARGB2101010, DRM_FORMAT_XBGR2101010,
        DRM_FORMAT_ABGR2101010, DRM_FORMAT_NV12,        DRM_FORMAT_P010,        DRM_FORMAT_YUYV,
};

static SourcePlane source_of(const Image *image, const uint8_t *luma, const uint8_t *chroma) {
        SourcePlane plane = { .format = pixel_format_find(image->format),
                              .memory = { luma, chroma },
                              .pitch = { PITCH, PITCH } };

        assert_non_null(plane.format);
        if (plane.format->yuv_bits > 0)
                assert_return_code(yuv_to_rgb(&plane.yuv, image->encoding, image->range,
                                              plane.format->yuv_bits),
                                   0);
        return plane;
}

static void assert_near(uint32_t pixel, Color color, double tolerance) {
        const double wanted[] = { color.b, color.g, color.r, color.a };

        for (unsigned i = 0; i < 4; i++) {
                double got = (pixel >> 8 * i & 0xff), error = fabs(got - wanted[i] * 255);
                if (error > tolerance) {
                        print_error("channel %u of %#010x should be %g\n", i, pixel, wanted[i] * 255);
                        fail();
                }
        }
}

/* Random rectangles of random bytes, read in place and with streaming loads. */
static void test_formats(void **state) {
        SourceScratch scratch = {};
        static Image image;
        uint32_t out[WIDTH * HEIGHT];
        (void) state;

        random_begin();
        for (unsigned round = 0; round < 1200; round++) {
                image.format = all_formats[round % 12];
                image.encoding = random_below(3);
                image.range = random_below(2);
                random_fill(image.luma, sizeof(image.luma));
                random_fill(image.chroma, sizeof(image.chroma));
                SourcePlane plane = source_of(&image, image.luma, image.chroma);
                plane.write_combined = round / 12 % 2;
                uint32_t x = random_below(WIDTH), y = random_below(HEIGHT);
                uint32_t width = 1 + random_below(WIDTH - x), height = 1 + random_below(HEIGHT - y);
                assert_return_code(source_scratch_reserve(&scratch, &plane, width, height), 0);
                source_plane_read(&plane, x, y, width, height, out, width, &scratch);
                for (uint32_t i = 0; i < width * height; i++)
                        assert_near(out[i], pixel_at(&image, x + i % width, y + i / width),
                                    plane.format->yuv_bits > 0 ? 0.75 : 0.51);
        }
        source_scratch_done(&scratch);
}

/* The same with tiles: what tiling.h reads is tested by itself, here that it is put in its place. */
static void test_tiled_formats(void **state) {
        SourceScratch scratch = {};
        static Image image;
        uint32_t out[WIDTH * HEIGHT];
        uint8_t *tiled[2] = { aligned_alloc(4096, 8192), aligned_alloc(4096, 8192) };
        (void) state;

        for (unsigned round = 0; round < 120; round++) {
                image.format = all_formats[round % 12];
                image.encoding = WIRE_COLOR_BT709;
                random_fill(image.luma, sizeof(image.luma));
                random_fill(image.chroma, sizeof(image.chroma));
                for (uint32_t y = 0; y < HEIGHT; y++)
                        for (uint32_t x = 0; x < PITCH; x++) {
                                size_t at = x / 128 * 4096 + x % 128 / 16 * 512 + y * 16 + x % 16;
                                tiled[0][at] = image.luma[y * PITCH + x];
                                tiled[1][at] = image.chroma[y * PITCH + x];
                        }
                SourcePlane plane = source_of(&image, tiled[0], tiled[1]);
                plane.tiling = TILING_Y;
                uint32_t x = random_below(WIDTH), y = random_below(HEIGHT);
                uint32_t width = 1 + random_below(WIDTH - x), height = 1 + random_below(HEIGHT - y);
                assert_return_code(source_scratch_reserve(&scratch, &plane, width, height), 0);
                source_plane_read(&plane, x, y, width, height, out, width, &scratch);
                for (uint32_t i = 0; i < width * height; i++)
                        assert_near(out[i], pixel_at(&image, x + i % width, y + i / width),
                                    plane.format->yuv_bits > 0 ? 0.75 : 0.51);
        }
        source_scratch_done(&scratch);
        free(tiled[0]);
        free(tiled[1]);
}

static double pq_to_light(double e) {
        double m1 = 0.1593017578125, m2 = 78.84375, c1 = 0.8359375, c2 = 18.8515625, c3 = 18.6875;
        double root = pow(e, 1 / m2);
        return 10000 * pow(fmax(root - c1, 0) / (c2 - c3 * root), 1 / m1);
}

static double light_to_pq(double light) {
        double m1 = 0.1593017578125, m2 = 78.84375, c1 = 0.8359375, c2 = 18.8515625, c3 = 18.6875;
        double y = pow(light / 10000, m1);
        return pow((c1 + c2 * y) / (1 + c3 * y), m2);
}

static double hlg_to_scene(double e) {
        double a = 0.17883277, b = 1 - 4 * a, c = 0.5 - a * log(4 * a);
        return e <= 0.5 ? e * e / 3 : (exp((e - c) / a) + b) / 12;
}

static double to_srgb(double v) {
        v = clip(v);
        return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

/* Report BT.2390's curve, in the words of its 5.4.1. */
static double eetf(double light, double peak, double target) {
        double lw = light_to_pq(peak), max = light_to_pq(target) / lw, ks = 1.5 * max - 0.5;
        double e1 = light_to_pq(light) / lw;

        if (peak <= target)
                return light;
        if (e1 >= ks) {
                double t = (e1 - ks) / (1 - ks);
                e1 = (2 * pow(t, 3) - 3 * pow(t, 2) + 1) * ks + (pow(t, 3) - 2 * pow(t, 2) + t) * (1 - ks) +
                     (-2 * pow(t, 3) + 3 * pow(t, 2)) * max;
        }
        return pq_to_light(e1 * lw);
}

static Color tone_mapped(Color c, const struct wire_hdr *hdr) {
        double v[] = { c.r, c.g, c.b }, peak = fmax(hdr->max_luminance ? hdr->max_luminance : 1000, 203);

        if (hdr->eotf == 3) {
                for (unsigned i = 0; i < 3; i++)
                        v[i] = hlg_to_scene(v[i]);
                double luminance = 0.2627 * v[0] + 0.6780 * v[1] + 0.0593 * v[2];
                for (unsigned i = 0; i < 3; i++)
                        v[i] *= luminance > 0 ? 1000 * pow(luminance, 0.2) : 0;
                peak = 1000;
        } else
                for (unsigned i = 0; i < 3; i++)
                        v[i] = pq_to_light(v[i]);
        double most = fmax(fmax(v[0], v[1]), fmax(v[2], 1e-9));
        double factor = eetf(fmin(most, peak), peak, 203) / most / 203;
        double r = v[0] * factor, g = v[1] * factor, b = v[2] * factor;
        if (hdr->colorspace == 9 || hdr->colorspace == 10)
                return (Color){ to_srgb(1.6605 * r - 0.5876 * g - 0.0728 * b),
                                to_srgb(-0.1246 * r + 1.1329 * g - 0.0083 * b),
                                to_srgb(-0.0182 * r - 0.1006 * g + 1.1187 * b), c.a };
        return (Color){ to_srgb(r), to_srgb(g), to_srgb(b), c.a };
}

static void test_tone_mapping(void **state) {
        SourceScratch scratch = {};
        static ToneMap tones;
        static Image image;
        uint32_t out[WIDTH];
        (void) state;

        for (unsigned round = 0; round < 300; round++) {
                const struct wire_hdr hdr = { .eotf = 2 + random_below(2),
                                              .colorspace = random_below(2) * 9,
                                              .max_luminance = random_below(4) * 400 };
                tone_map_init(&tones, &hdr);
                image.format = round % 2 ? DRM_FORMAT_XRGB2101010 : DRM_FORMAT_P010;
                image.encoding = WIRE_COLOR_BT2020;
                random_fill(image.luma, sizeof(image.luma));
                random_fill(image.chroma, sizeof(image.chroma));
                SourcePlane plane = source_of(&image, image.luma, image.chroma);
                plane.tones = &tones;
                assert_return_code(source_scratch_reserve(&scratch, &plane, WIDTH, 1), 0);
                source_plane_read(&plane, 0, 0, WIDTH, 1, out, WIDTH, &scratch);
                for (uint32_t x = 0; x < WIDTH; x++)
                        /* A colour outside BT.709 is the difference of large numbers. */
                        assert_near(out[x], tone_mapped(pixel_at(&image, x, 0), &hdr), 4);
        }
        source_scratch_done(&scratch);
}

/* What a viewer should know of it: docs/capture.md says so. */
static void test_tones_as_documented(void **state) {
        static ToneMap tones;
        const struct wire_hdr pq = { .eotf = 2, .colorspace = 9 };
        uint32_t before = 0, out;
        (void) state;

        assert_true(tone_map_needed(&pq));
        assert_false(tone_map_needed(&(struct wire_hdr){ .eotf = 1 }));
        assert_false(tone_map_needed(&(struct wire_hdr){}));
        tone_map_init(&tones, &pq);
        for (uint32_t i = 0; i <= UINT16_MAX; i += 64) {
                WidePixel grey = wide_pixel(i, i, i, UINT16_MAX);
                tone_map_row(&tones, &grey, 1, false, &out);
                assert_int_equal(out >> 16 & 0xff, out & 0xff); /* grey stays grey */
                assert_true((out & 0xff) >= before);
                before = out & 0xff;
        }
        assert_int_equal(before, 255);
        WidePixel white = wide_pixel(38042, 38042, 38042, UINT16_MAX); /* 203 cd/m² */
        tone_map_row(&tones, &white, 1, false, &out);
        assert_in_range(out & 0xff, 200, 235);
        /* Half covered white. */
        WidePixel half = wide_pixel(38042 / 2, 38042 / 2, 38042 / 2, UINT16_MAX / 2);
        uint32_t whole = out & 0xff;
        tone_map_row(&tones, &half, 1, true, &out);
        assert_in_range(out & 0xff, whole / 2 - 2, whole / 2 + 2);
        assert_in_range(out >> 24, 127, 128);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_formats),
                cmocka_unit_test(test_tiled_formats),
                cmocka_unit_test(test_tone_mapping),
                cmocka_unit_test(test_tones_as_documented),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
