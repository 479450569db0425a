/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which pieces of rows are equal, without reading both: NH of the pixels of a tile's row, twice with shifted
 * keys. Two pieces that differ have the same hash with a probability of at most 2⁻⁶⁴, whoever chose them,
 * for a random key that is not known (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC: Fast and Secure
 * Message Authentication", CRYPTO '99, on NH and its Toeplitz extension). It takes a multiplication for each
 * two pixels and part.
 *
 * hash.parts[p] = Σ (m[2i] + k[2i + 8p]) · (m[2i + 1] + k[2i + 1 + 8p]) modulo 2⁶⁴, where the sums in
 * brackets are modulo 2³² and m are the pixels, their unused bytes zero. */

#include <stdint.h>

#include "segment.h"

#define ROW_HASH_PARTS 2U
#define ROW_HASH_SHIFT 8U /* words */

typedef struct RowHashKey {
        uint32_t words[SEGMENT_TILE_WIDTH + (ROW_HASH_PARTS - 1) * ROW_HASH_SHIFT];
} RowHashKey;

typedef struct RowHash {
        uint64_t parts[ROW_HASH_PARTS];
} RowHash;

/* A random key; what getrandom() says. */
int row_hash_key_init(RowHashKey *key);

static inline bool row_hash_equal(const RowHash *a, const RowHash *b) {
        return ((a->parts[0] ^ b->parts[0]) | (a->parts[1] ^ b->parts[1])) == 0;
}
