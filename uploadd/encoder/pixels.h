/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The loops over pixels, for AVX2, SSE4.1 and any processor; which are chosen at run time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "row-hash.h"

#define PIXEL_MASK 0x00ffffffU /* the unused byte may hold anything, also something else each time */

#define PIXELS_ALIGNMENT 32U

typedef struct PixelLoops {
        /* Hashes n tiles' width of a row. */
        void (*hash)(const RowHashKey *key, const uint32_t *from, size_t n, RowHash *ret);
        /* The same of what it copies, with the unused byte zero: each pixel is read once, so that the hash
         * is that of the copy also while the source changes. to is aligned to PIXELS_ALIGNMENT, and is
         * written past the caches: little of what changed is looked at again. */
        void (*copy_hash)(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n, RowHash *ret);
        /* The same from write-combined memory: see load. from is aligned to PIXELS_ALIGNMENT. */
        void (*load_hash)(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n, RowHash *ret);
        /* Compares n tiles' width of two rows, and sets bit in equal[i] where tile i is the same. */
        void (*match)(const uint32_t *a, const uint32_t *b, size_t n, uint8_t bit, uint8_t *equal);
        /* Copies n pixels, with the unused byte zero. */
        void (*copy)(uint32_t *to, const uint32_t *from, size_t n);
        /* Likewise from R, G, B, X. */
        void (*copy_swapped)(uint32_t *to, const uint32_t *from, size_t n);
        /* Copies bytes from write-combined memory: MOVNTDQA reads a whole line at once where an ordinary
         * load reads uncached (Intel SDM vol. 1, 12.10.3). */
        void (*load)(void *to, const void *from, size_t size);
} PixelLoops;

/* The best ones for this processor. */
const PixelLoops *pixel_loops(void);
/* Those for processors without AVX2. */
const PixelLoops *pixel_loops_sse41(void);
/* Those for any. */
const PixelLoops *pixel_loops_portable(void);
