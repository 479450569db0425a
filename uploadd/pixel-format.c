/* SPDX-License-Identifier: Apache-2.0 */
#include "pixel-format.h"

#include <string.h>

#include <drm_fourcc.h>

#include "cleanup.h"

#define OPAQUE 0xff000000U

static uint32_t load16(const uint8_t *bytes, uint32_t i) {
        uint16_t value;
        memcpy(&value, bytes + i * sizeof(value), sizeof(value));
        return value;
}

static uint32_t load32(const uint8_t *bytes, uint32_t i) {
        uint32_t value;
        memcpy(&value, bytes + i * sizeof(value), sizeof(value));
        return value;
}

/* Numbers of fewer bits are repeated, so that the largest stays the largest. */
static uint32_t from5(uint32_t v) {
        return v << 11 | v << 6 | v << 1 | v >> 4;
}

static uint32_t from6(uint32_t v) {
        return v << 10 | v << 4 | v >> 2;
}

static uint32_t from8(uint32_t v) {
        return v * 0x101;
}

static uint32_t from10(uint32_t v) {
        return v << 6 | v >> 4;
}

static void narrow_bgrx(const uint8_t *row, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = load32(row, i) | OPAQUE;
}

static void narrow_bgra(const uint8_t *row, uint32_t n, uint32_t *to) {
        memcpy(to, row, n * sizeof(*to));
}

static uint32_t swapped(uint32_t pixel) {
        return (pixel & 0xff00ff00) | (pixel & 0xff) << 16 | (pixel >> 16 & 0xff);
}

static void narrow_rgbx(const uint8_t *row, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = swapped(load32(row, i)) | OPAQUE;
}

static void narrow_rgba(const uint8_t *row, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = swapped(load32(row, i));
}

/* The nearest of 8 bits, exact for every number of 5, 6 and 10. */
static uint32_t narrow5(uint32_t v) {
        return (v * 527 + 23) >> 6;
}

static uint32_t narrow6(uint32_t v) {
        return (v * 259 + 33) >> 6;
}

static uint32_t narrow10(uint32_t v) {
        return (v * 1021 + 2048) >> 12;
}

static void narrow_rgb565(const uint8_t *row, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++) {
                uint32_t p = load16(row, i);
                to[i] = OPAQUE | narrow5(p >> 11) << 16 | narrow6(p >> 5 & 0x3f) << 8 | narrow5(p & 0x1f);
        }
}

static uint32_t narrow_2101010(uint32_t p) {
        return (p >> 30) * 0x55000000U | narrow10(p >> 20 & 0x3ff) << 16 | narrow10(p >> 10 & 0x3ff) << 8 |
               narrow10(p & 0x3ff);
}

static void narrow_bgrx10(const uint8_t *row, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = narrow_2101010(load32(row, i)) | OPAQUE;
}

static void narrow_bgra10(const uint8_t *row, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = narrow_2101010(load32(row, i));
}

static void narrow_rgbx10(const uint8_t *row, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = swapped(narrow_2101010(load32(row, i))) | OPAQUE;
}

static void narrow_rgba10(const uint8_t *row, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = swapped(narrow_2101010(load32(row, i)));
}

static WidePixel wide_8888(uint32_t p) {
        return wide_pixel(from8(p >> 16 & 0xff), from8(p >> 8 & 0xff), from8(p & 0xff), from8(p >> 24));
}

static WidePixel wide_2101010(uint32_t p) {
        return wide_pixel(from10(p >> 20 & 0x3ff), from10(p >> 10 & 0x3ff), from10(p & 0x3ff),
                          (p >> 30) * 0x5555);
}

static WidePixel wide_swapped(WidePixel p) {
        return (p & 0xffff0000ffff0000) | (p & 0xffff) << 32 | (p >> 32 & 0xffff);
}

static WidePixel wide_565(uint32_t p) {
        return wide_pixel(from5(p >> 11), from6(p >> 5 & 0x3f), from5(p & 0x1f), UINT16_MAX);
}

#define WIDE_OPAQUE ((uint64_t) UINT16_MAX << 48)

/* wide functions of packed RGB formats. */
#define DEFINE_WIDE(name, expression)                                                                       \
        static void wide_##name(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv _unused_,      \
                                WidePixel *to) {                                                            \
                const uint8_t *row = rows[0];                                                               \
                for (uint32_t i = 0; i < n; i++)                                                            \
                        to[i] = (expression);                                                               \
        }

DEFINE_WIDE(bgrx, wide_8888(load32(row, i)) | WIDE_OPAQUE)
DEFINE_WIDE(bgra, wide_8888(load32(row, i)))
DEFINE_WIDE(rgbx, wide_8888(swapped(load32(row, i))) | WIDE_OPAQUE)
DEFINE_WIDE(rgba, wide_8888(swapped(load32(row, i))))
DEFINE_WIDE(bgrx10, wide_2101010(load32(row, i)) | WIDE_OPAQUE)
DEFINE_WIDE(bgra10, wide_2101010(load32(row, i)))
DEFINE_WIDE(rgbx10, wide_swapped(wide_2101010(load32(row, i))) | WIDE_OPAQUE)
DEFINE_WIDE(rgba10, wide_swapped(wide_2101010(load32(row, i))))
DEFINE_WIDE(rgb565, wide_565(load16(row, i)))

/* Two pixels of one block. */
static void wide_pair(const YuvToRgb *yuv, const int32_t y[2], int32_t cb, int32_t cr, uint32_t n,
                      WidePixel *to) {
        to[0] = yuv_pixel(yuv, y[0], cb, cr);
        if (n > 1)
                to[1] = yuv_pixel(yuv, y[1], cb, cr);
}

static void wide_nv12(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv, WidePixel *to) {
        for (uint32_t i = 0; i < n; i += 2) {
                const uint8_t *luma = rows[0] + i, *chroma = rows[1] + i;
                wide_pair(yuv, (int32_t[]){ luma[0], luma[n - i > 1] }, chroma[0], chroma[1], n - i, to + i);
        }
}

static int32_t high10(const uint8_t *row, uint32_t i) {
        return (int32_t) (load16(row, i) >> 6);
}

/* Ten bits, in the upper end of sixteen. */
static void wide_p010(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv, WidePixel *to) {
        for (uint32_t i = 0; i < n; i += 2)
                wide_pair(yuv, (int32_t[]){ high10(rows[0], i), high10(rows[0], i + (n - i > 1)) },
                          high10(rows[1], i), high10(rows[1], i + 1), n - i, to + i);
}

static void wide_yuyv(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv, WidePixel *to) {
        for (uint32_t i = 0; i < n; i += 2) {
                const uint8_t *block = rows[0] + (size_t) i * 2;
                wide_pair(yuv, (int32_t[]){ block[0], block[2] }, block[1], block[3], n - i, to + i);
        }
}

#define PACKED(bytes)                                                                                       \
        1, {                                                                                                \
                { bytes, 1, 1 }                                                                             \
        }

static const PixelFormat formats[] = {
        { DRM_FORMAT_XRGB8888, false, COPY_AS_IS, 0, PACKED(4), wide_bgrx, narrow_bgrx },
        { DRM_FORMAT_ARGB8888, true, COPY_AS_IS, 0, PACKED(4), wide_bgra, narrow_bgra },
        { DRM_FORMAT_XBGR8888, false, COPY_SWAPPED, 0, PACKED(4), wide_rgbx, narrow_rgbx },
        { DRM_FORMAT_ABGR8888, true, COPY_SWAPPED, 0, PACKED(4), wide_rgba, narrow_rgba },
        { DRM_FORMAT_RGB565, false, COPY_NEVER, 0, PACKED(2), wide_rgb565, narrow_rgb565 },
        { DRM_FORMAT_XRGB2101010, false, COPY_NEVER, 0, PACKED(4), wide_bgrx10, narrow_bgrx10 },
        { DRM_FORMAT_ARGB2101010, true, COPY_NEVER, 0, PACKED(4), wide_bgra10, narrow_bgra10 },
        { DRM_FORMAT_XBGR2101010, false, COPY_NEVER, 0, PACKED(4), wide_rgbx10, narrow_rgbx10 },
        { DRM_FORMAT_ABGR2101010, true, COPY_NEVER, 0, PACKED(4), wide_rgba10, narrow_rgba10 },
        { DRM_FORMAT_NV12, false, COPY_NEVER, 8, 2, { { 1, 1, 1 }, { 2, 2, 2 } }, wide_nv12, NULL },
        { DRM_FORMAT_P010, false, COPY_NEVER, 10, 2, { { 2, 1, 1 }, { 4, 2, 2 } }, wide_p010, NULL },
        { DRM_FORMAT_YUYV, false, COPY_NEVER, 8, 1, { { 4, 2, 1 } }, wide_yuyv, NULL },
};

const PixelFormat *pixel_format_find(uint32_t format) {
        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (formats[i].format == format)
                        return &formats[i];
        return NULL;
}

void pixel_format_narrow(const WidePixel *from, uint32_t n, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++) {
                WidePixel p = from[i];
                to[i] = narrow_channel((uint32_t) (p >> 48)) << 24 |
                        narrow_channel((uint16_t) (p >> 32)) << 16 |
                        narrow_channel((uint16_t) (p >> 16)) << 8 | narrow_channel((uint16_t) p);
        }
}
