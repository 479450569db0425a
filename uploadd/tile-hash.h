/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* XXH3-128 of a tile's pixels, for AVX2 and for any processor. Both give the same. */

#include "picture.h"

#define TILE_HASH_SECRET_SIZE 192U

typedef struct TileHash {
        uint64_t low, high;
} TileHash;

typedef TileHash (*TileHashFunction)(const uint32_t *pixels, size_t stride,
                                     const uint8_t secret[static TILE_HASH_SECRET_SIZE]);

TileHash tile_hash_portable(const uint32_t *pixels, size_t stride,
                            const uint8_t secret[static TILE_HASH_SECRET_SIZE]);
TileHash tile_hash_avx2(const uint32_t *pixels, size_t stride,
                        const uint8_t secret[static TILE_HASH_SECRET_SIZE]);

/* The best for this processor. */
TileHashFunction tile_hash_function(void);
