/* SPDX-License-Identifier: Apache-2.0 */
#include "pixel-format.h"

#include <string.h>

#include <drm_fourcc.h>

#include "cleanup.h"

#define OPAQUE 0xff000000U
#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t load16(const uint8_t *bytes, uint32_t i) {
        uint16_t value;
        memcpy(&value, bytes + i * sizeof(value), sizeof(value));
        return value;
}

INLINE uint32_t load32(const uint8_t *bytes, uint32_t i) {
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

#define NARROW(name)                                                                                        \
        static void narrow_##name(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv _unused_,    \
                                  uint32_t *to)

NARROW(bgrx) {
        const uint8_t *row = rows[0];

        for (uint32_t i = 0; i < n; i++)
                to[i] = load32(row, i) | OPAQUE;
}

NARROW(bgra) {
        const uint8_t *row = rows[0];

        memcpy(to, row, n * sizeof(*to));
}

static uint32_t swapped(uint32_t pixel) {
        return (pixel & 0xff00ff00) | (pixel & 0xff) << 16 | (pixel >> 16 & 0xff);
}

NARROW(rgbx) {
        const uint8_t *row = rows[0];

        for (uint32_t i = 0; i < n; i++)
                to[i] = swapped(load32(row, i)) | OPAQUE;
}

NARROW(rgba) {
        const uint8_t *row = rows[0];

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

NARROW(rgb565) {
        const uint8_t *row = rows[0];

        for (uint32_t i = 0; i < n; i++) {
                uint32_t p = load16(row, i);
                to[i] = OPAQUE | narrow5(p >> 11) << 16 | narrow6(p >> 5 & 0x3f) << 8 | narrow5(p & 0x1f);
        }
}

static uint32_t narrow_2101010(uint32_t p) {
        return (p >> 30) * 0x55000000U | narrow10(p >> 20 & 0x3ff) << 16 | narrow10(p >> 10 & 0x3ff) << 8 |
               narrow10(p & 0x3ff);
}

NARROW(bgrx10) {
        const uint8_t *row = rows[0];

        for (uint32_t i = 0; i < n; i++)
                to[i] = narrow_2101010(load32(row, i)) | OPAQUE;
}

NARROW(bgra10) {
        const uint8_t *row = rows[0];

        for (uint32_t i = 0; i < n; i++)
                to[i] = narrow_2101010(load32(row, i));
}

NARROW(rgbx10) {
        const uint8_t *row = rows[0];

        for (uint32_t i = 0; i < n; i++)
                to[i] = swapped(narrow_2101010(load32(row, i))) | OPAQUE;
}

NARROW(rgba10) {
        const uint8_t *row = rows[0];

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

/* Y'CbCr goes by way of samples, all of a kind together, so that the compiler can make the arithmetic wide.
 */
#define CHUNK 256U /* even */

typedef struct Samples {
        int32_t y[CHUNK], cb[CHUNK], cr[CHUNK];
} Samples;

/* The samples of n pixels from pixel at on; both may be odd only at the row's end. */
INLINE void unpack_nv12(const uint8_t *const rows[], uint32_t at, uint32_t n, Samples *to) {
        const uint8_t *chroma = rows[1] + at;

        for (uint32_t i = 0; i < n; i++)
                to->y[i] = rows[0][at + i];
        for (uint32_t i = 0; i < (n + 1) / 2; i++) {
                to->cb[2 * i] = to->cb[2 * i + 1] = chroma[2 * i];
                to->cr[2 * i] = to->cr[2 * i + 1] = chroma[2 * i + 1];
        }
}

/* Ten bits, in the upper end of sixteen. */
INLINE int32_t high10(const uint8_t *row, uint32_t i) {
        return (int32_t) (load16(row, i) >> 6);
}

INLINE void unpack_p010(const uint8_t *const rows[], uint32_t at, uint32_t n, Samples *to) {
        for (uint32_t i = 0; i < n; i++)
                to->y[i] = high10(rows[0], at + i);
        for (uint32_t i = 0; i < (n + 1) / 2; i++) {
                to->cb[2 * i] = to->cb[2 * i + 1] = high10(rows[1], at + 2 * i);
                to->cr[2 * i] = to->cr[2 * i + 1] = high10(rows[1], at + 2 * i + 1);
        }
}

INLINE void unpack_yuyv(const uint8_t *const rows[], uint32_t at, uint32_t n, Samples *to) {
        const uint8_t *blocks = rows[0] + (size_t) at * 2;

        for (uint32_t i = 0; i < (n + 1) / 2; i++, blocks += 4) {
                to->y[2 * i] = blocks[0];
                to->y[2 * i + 1] = blocks[2];
                to->cb[2 * i] = to->cb[2 * i + 1] = blocks[1];
                to->cr[2 * i] = to->cr[2 * i + 1] = blocks[3];
        }
}

INLINE void narrow_samples(const Samples *s, uint32_t n, const YuvToRgb *m, uint32_t *restrict to) {
        const YuvToRgb yuv = *m;

        for (uint32_t i = 0; i < n; i++) {
                YuvColor c = yuv_color(&yuv, s->y[i], s->cb[i], s->cr[i]);
                to[i] = OPAQUE | narrow_channel(c.r) << 16 | narrow_channel(c.g) << 8 | narrow_channel(c.b);
        }
}

INLINE uint32_t chunk(uint32_t n, uint32_t at) {
        return n - at < CHUNK ? n - at : CHUNK;
}

#ifdef __x86_64__
#define AVX2     __attribute__((target("avx2")))
#define HAS_AVX2 __builtin_cpu_supports("avx2")
#else
#define AVX2
#define HAS_AVX2 false
#endif

#define DEFINE_YUV(name)                                                                                    \
        static void wide_##name(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv,               \
                                WidePixel *to) {                                                            \
                Samples s;                                                                                  \
                for (uint32_t at = 0; at < n; at += CHUNK) {                                                \
                        unpack_##name(rows, at, chunk(n, at), &s);                                          \
                        for (uint32_t i = 0; i < chunk(n, at); i++) {                                       \
                                YuvColor c = yuv_color(yuv, s.y[i], s.cb[i], s.cr[i]);                      \
                                to[at + i] = wide_pixel(c.r, c.g, c.b, UINT16_MAX);                         \
                        }                                                                                   \
                }                                                                                           \
        }                                                                                                   \
        AVX2 static void narrow_##name##_avx2(const uint8_t *const rows[], uint32_t n, const YuvToRgb *yuv, \
                                              uint32_t *to) {                                               \
                Samples s;                                                                                  \
                for (uint32_t at = 0; at < n; at += CHUNK) {                                                \
                        unpack_##name(rows, at, chunk(n, at), &s);                                          \
                        narrow_samples(&s, chunk(n, at), yuv, to + at);                                     \
                }                                                                                           \
        }                                                                                                   \
        NARROW(name) {                                                                                      \
                Samples s;                                                                                  \
                if (HAS_AVX2) {                                                                             \
                        narrow_##name##_avx2(rows, n, yuv, to);                                             \
                        return;                                                                             \
                }                                                                                           \
                for (uint32_t at = 0; at < n; at += CHUNK) {                                                \
                        unpack_##name(rows, at, chunk(n, at), &s);                                          \
                        narrow_samples(&s, chunk(n, at), yuv, to + at);                                     \
                }                                                                                           \
        }

DEFINE_YUV(nv12)
DEFINE_YUV(p010)
DEFINE_YUV(yuyv)

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
        { DRM_FORMAT_NV12, false, COPY_NEVER, 8, 2, { { 1, 1, 1 }, { 2, 2, 2 } }, wide_nv12, narrow_nv12 },
        { DRM_FORMAT_P010, false, COPY_NEVER, 10, 2, { { 2, 1, 1 }, { 4, 2, 2 } }, wide_p010, narrow_p010 },
        { DRM_FORMAT_YUYV, false, COPY_NEVER, 8, 1, { { 4, 2, 1 } }, wide_yuyv, narrow_yuyv },
};

const PixelFormat *pixel_format_find(uint32_t format) {
        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (formats[i].format == format)
                        return &formats[i];
        return NULL;
}
