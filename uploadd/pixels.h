/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The loops over pixels, for AVX2, SSE4.1 and any processor; which are chosen at run time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIXEL_MASK 0x00ffffffU /* the unused byte may hold anything, also something else each time */

#define PIXELS_ALIGNMENT 32U

typedef struct PixelLoops {
        /* Compares rows of n tiles' width, but for the unused byte; sets changed[i] where tile i differs,
         * and leaves alone where it is set already. */
        void (*compare)(const uint32_t *a, const uint32_t *b, size_t n, uint8_t *changed);
        /* Copies n pixels, with the unused byte zero. */
        void (*copy)(uint32_t *to, const uint32_t *from, size_t n);
        /* Likewise from R, G, B, X. */
        void (*copy_swapped)(uint32_t *to, const uint32_t *from, size_t n);
        /* Copies bytes from write-combined memory: MOVNTDQA reads a whole line at once where an ordinary
         * load reads uncached (Intel SDM vol. 1, 12.10.3). */
        void (*load)(void *to, const void *from, size_t size);
        /* Reads n tiles' width of a row of such memory, once: where it differs from before, but for the
         * unused byte, it is copied to now with that byte zero, and bit is set in differs[i]. from is
         * aligned to PIXELS_ALIGNMENT. */
        void (*update)(const uint32_t *from, const uint32_t *before, uint32_t *now, size_t n, uint8_t bit,
                       uint8_t *differs);
} PixelLoops;

/* The best ones for this processor. */
const PixelLoops *pixel_loops(void);
/* Those for processors without AVX2. */
const PixelLoops *pixel_loops_sse41(void);
/* Those for any. */
const PixelLoops *pixel_loops_portable(void);
