/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* XXH3-128 of the hashes of a tile's rows. */

#include "picture.h"

#define TILE_HASH_SECRET_SIZE 192U

typedef struct TileHash {
        uint64_t low, high;
} TileHash;

TileHash tile_hash(const Picture *picture, uint32_t tile,
                   const uint8_t secret[static TILE_HASH_SECRET_SIZE]);
