/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a framebuffer's bytes are in memory: linear, or in Intel's tiles of 4 KiB. Pure functions over
 * tables.
 *
 * Sources: Intel Open Source HD Graphics Programmer's Reference Manual, volume "Memory Views", "Address
 * Tiling Function" (X and Y); DG2's of the same name (Tile4); drm_fourcc.h, I915_FORMAT_MOD_*.
 *
 * Assumed: no bit-6 swizzling. Up to Haswell, with memory in two interleaved channels, the memory controller
 * exchanges halves of 128 bytes by higher address bits; which, the modifier does not say. From Broadwell on
 * there is none (i915's detect_bit_6_swizzle()). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tiling {
        TILING_LINEAR,
        TILING_X,
        TILING_Y,
        TILING_4,
        _TILING_MAX,
};

#define TILE_BYTES 4096U

/* A tile's width in bytes and height in rows; 1 × 1 if linear. */
uint32_t tiling_width(enum tiling tiling);
uint32_t tiling_height(enum tiling tiling);

/* The tiling behind a DRM_FORMAT_MOD_*; false: another one, which the processor cannot read. */
bool tiling_of_modifier(uint64_t modifier, enum tiling *ret);

/* How many bytes a plane of memory reaches from its first. pitch is at least 1 and a multiple of the tile's
 * width, rows at least 1, row_bytes what is used of each row. Cannot overflow for 32-bit numbers. */
uint64_t tiling_size(enum tiling tiling, uint32_t pitch, uint32_t rows, uint32_t row_bytes);

/* Copies n_bytes × n_rows, from byte x of row y of tiled memory, into to_pitch bytes a row. x and n_bytes
 * are multiples of TILING_SPAN, as tiles' widths are. Reads in the order of memory, with streaming loads. */
void tiling_read(enum tiling tiling, const uint8_t *memory, uint32_t pitch, uint32_t x, uint32_t y,
                 uint32_t n_bytes, uint32_t n_rows, uint8_t *to, size_t to_pitch);

/* Bytes of a row that are together in every tiling. */
#define TILING_SPAN 16U
