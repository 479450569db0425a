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
