/* SPDX-License-Identifier: Apache-2.0 */
#include "tile-hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

TileHash tile_hash(const Picture *picture, uint32_t tile,
                   const uint8_t secret[static TILE_HASH_SECRET_SIZE]) {
        uint32_t x = tile % picture->tiles_across, y = tile / picture->tiles_across * SEGMENT_TILE_HEIGHT;
        RowHash rows[SEGMENT_TILE_HEIGHT];

        for (uint32_t i = 0; i < SEGMENT_TILE_HEIGHT; i++)
                rows[i] = picture_hashes(picture, y + i)[x];
        XXH128_hash_t hash = XXH3_128bits_withSecret(rows, sizeof(rows), secret, TILE_HASH_SECRET_SIZE);
        return (TileHash){ hash.low64, hash.high64 };
}
