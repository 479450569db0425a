/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* KMS's blending of a plane with what is below it: drm_blend.c's "pixel blend mode", and drm-kms(7), "Plane
 * Composition Properties". Per channel, in 8 bits, rounded to the nearest, on the signals as they are: so
 * does hardware that is not told otherwise. */

#include <stdint.h>

/* Puts n pixels 0xAARRGGBB over as many opaque ones. mode: enum wire_blend; alpha: the plane's, 0 to 255. */
void blend_row(uint32_t *to, const uint32_t *from, uint32_t n, uint32_t mode, uint32_t alpha);

/* Makes premultiplied pixels of such ones, for a layer that is blended later. */
void blend_premultiply(uint32_t *to, const uint32_t *from, uint32_t n, uint32_t mode, uint32_t alpha);

/* part of 256 of the way from a to b, for each channel. */
static inline __attribute__((always_inline)) uint32_t blend_mix(uint32_t a, uint32_t b, uint32_t part) {
        const uint32_t mask = 0x00ff00ff, half = 0x00800080;
        uint32_t low = ((a & mask) * (256 - part) + (b & mask) * part + half) >> 8 & mask;
        uint32_t high = ((a >> 8 & mask) * (256 - part) + (b >> 8 & mask) * part + half) & ~mask;

        return high | low;
}

/* Likewise of n pixels; to may be a. */
void blend_between(uint32_t *to, const uint32_t *a, const uint32_t *b, uint32_t n, uint32_t part);
