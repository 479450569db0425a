/* SPDX-License-Identifier: Apache-2.0 */
#include "color.h"

#include <errno.h>
#include <math.h>

#include "cleanup.h"

/* The shares of red and blue in luma. */
static const struct {
        double kr, kb;
} encodings[] = {
        [WIRE_COLOR_BT601] = { 0.299, 0.114 },
        [WIRE_COLOR_BT709] = { 0.2126, 0.0722 },
        [WIRE_COLOR_BT2020] = { 0.2627, 0.0593 },
};

static int32_t fixed(double value) {
        return (int32_t) lround(value * UINT16_MAX * (1 << YUV_SHIFT));
}

int yuv_to_rgb(YuvToRgb *ret, uint32_t encoding, uint32_t range, unsigned bits) {
        if (encoding >= ELEMENTSOF(encodings) || range > WIRE_COLOR_FULL)
                return -EINVAL;

        double kr = encodings[encoding].kr, kb = encodings[encoding].kb, kg = 1 - kr - kb;
        double full = (1U << bits) - 1, step = 1U << (bits - 8);
        double luma = range == WIRE_COLOR_FULL ? full : 219 * step;
        double chroma = range == WIRE_COLOR_FULL ? full : 224 * step;

        *ret = (YuvToRgb){
                .y = fixed(1 / luma),
                .r_cr = fixed(2 * (1 - kr) / chroma),
                .g_cb = fixed(-2 * kb * (1 - kb) / kg / chroma),
                .g_cr = fixed(-2 * kr * (1 - kr) / kg / chroma),
                .b_cb = fixed(2 * (1 - kb) / chroma),
                .y_offset = range == WIRE_COLOR_FULL ? 0 : 16 << (bits - 8),
                .c_offset = 1 << (bits - 1),
        };
        return 0;
}
