/* SPDX-License-Identifier: Apache-2.0 */

/* xxhash chooses its loops when it is compiled, so this is the same function a second time, in a file that
 * is compiled for AVX2. */
#include <string.h>

#include "tile-hash.h"

#define XXH_VECTOR XXH_AVX2
#define XXH_INLINE_ALL
#include <xxhash.h>

TileHash tile_hash_avx2(const uint32_t *pixels, size_t stride,
                        const uint8_t secret[static TILE_HASH_SECRET_SIZE]) {
        uint32_t tile[SEGMENT_TILE_HEIGHT * SEGMENT_TILE_WIDTH];

        for (size_t row = 0; row < SEGMENT_TILE_HEIGHT; row++)
                memcpy(tile + row * SEGMENT_TILE_WIDTH, pixels + row * stride,
                       SEGMENT_TILE_WIDTH * sizeof(uint32_t));
        XXH128_hash_t hash = XXH3_128bits_withSecret(tile, sizeof(tile), secret, TILE_HASH_SECRET_SIZE);
        return (TileHash){ hash.low64, hash.high64 };
}
