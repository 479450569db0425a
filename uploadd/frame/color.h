/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From the colours of a framebuffer to those of a recording: R'G'B' as sRGB has it. Fixed point and tables.
 */

#include <stdint.h>

#include "wire.h"

/* Four channels of 16 bits: blue lowest, green, red, alpha. */
typedef uint64_t WidePixel;

static inline WidePixel wide_pixel(uint32_t r, uint32_t g, uint32_t b, uint32_t a) {
        return (uint64_t) a << 48 | (uint64_t) r << 32 | (uint64_t) g << 16 | b;
}

/* The nearest of 8 bits. */
static inline __attribute__((always_inline)) uint32_t narrow_channel(uint32_t channel) {
        return (channel - (channel >> 8) + 128) >> 8;
}

/* How Y'CbCr numbers become 16-bit channels: R = (y × (Y − y_offset) + r_cr × (Cr − c_offset)) >> YUV_SHIFT,
 * and so on; ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance). */
typedef struct YuvToRgb {
        int32_t y, r_cr, g_cb, g_cr, b_cb;
        int32_t y_offset, c_offset;
} YuvToRgb;

#define YUV_SHIFT 10

/* encoding: enum wire_color_encoding; range: enum wire_color_range; bits of a sample: 8 or 10. -EINVAL. */
int yuv_to_rgb(YuvToRgb *ret, uint32_t encoding, uint32_t range, unsigned bits);

static inline __attribute__((always_inline)) uint32_t yuv_clamp(int32_t value) {
        value >>= YUV_SHIFT;
        return value < 0 ? 0 : value > UINT16_MAX ? UINT16_MAX : (uint32_t) value;
}

typedef struct YuvColor {
        uint32_t r, g, b; /* of 16 bits */
} YuvColor;

static inline __attribute__((always_inline)) YuvColor yuv_color(const YuvToRgb *m, int32_t y, int32_t cb,
                                                                int32_t cr) {
        int32_t luma = m->y * (y - m->y_offset) + (1 << (YUV_SHIFT - 1));

        cb -= m->c_offset;
        cr -= m->c_offset;
        return (YuvColor){ yuv_clamp(luma + m->r_cr * cr), yuv_clamp(luma + m->g_cb * cb + m->g_cr * cr),
                           yuv_clamp(luma + m->b_cb * cb) };
}
