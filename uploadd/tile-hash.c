/* SPDX-License-Identifier: Apache-2.0 */
#include "tile-hash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

TileHash tile_hash_portable(const uint32_t *pixels, size_t stride,
                            const uint8_t secret[static TILE_HASH_SECRET_SIZE]) {
        uint32_t tile[SEGMENT_TILE_HEIGHT * SEGMENT_TILE_WIDTH];

        for (size_t row = 0; row < SEGMENT_TILE_HEIGHT; row++)
                memcpy(tile + row * SEGMENT_TILE_WIDTH, pixels + row * stride,
                       SEGMENT_TILE_WIDTH * sizeof(uint32_t));
        XXH128_hash_t hash = XXH3_128bits_withSecret(tile, sizeof(tile), secret, TILE_HASH_SECRET_SIZE);
        return (TileHash){ hash.low64, hash.high64 };
}

TileHashFunction tile_hash_function(void) {
#ifdef __x86_64__
        if (__builtin_cpu_supports("avx2"))
                return tile_hash_avx2;
#endif
        return tile_hash_portable;
}
