/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which of a segment's tiles have been sent already, by a hash. The numbers are the
 * format's: NEW tiles counted from the segment's start. Old ones are forgotten, as a reader may forget them.
 *
 * XXH3 is no cryptographic hash: somebody who knew its secret could draw two tiles that collide and have the
 * recording show one for the other. The secret is random, of this process alone. */

#include "cleanup.h"
#include "tile-hash.h"

typedef struct TileDictionary TileDictionary;

/* -ENOMEM, or what getrandom() says. */
int tile_dictionary_new(TileDictionary **ret);
TileDictionary *tile_dictionary_free(TileDictionary *dictionary);
DEFINE_CLEANUP(TileDictionary *, tile_dictionary_freep, tile_dictionary_free)

/* Forgets all: a keyframe. */
void tile_dictionary_clear(TileDictionary *dictionary);

/* Before the tiles of a frame, of which at most n will be added: a number that is found stays in the
 * format's window to the frame's end. */
void tile_dictionary_begin(TileDictionary *dictionary, uint32_t n);

/* Of a tile's pixels. */
TileHash tile_dictionary_hash(const TileDictionary *dictionary, const Picture *picture, uint32_t tile);

/* The number of an equal tile in *ret_number and true; or adds the tile as the next number, and false. */
bool tile_dictionary_add(TileDictionary *dictionary, TileHash hash, uint32_t *ret_number);
/* The same without adding it. */
bool tile_dictionary_find(const TileDictionary *dictionary, TileHash hash, uint32_t *ret_number);

/* Counts a tile as the next number without keeping it: it will not be found again. */
void tile_dictionary_skip(TileDictionary *dictionary);

/* How many were added since the last clear: the next number. */
uint32_t tile_dictionary_next(const TileDictionary *dictionary);

/* Takes back the tiles added from number on: their frame was not written. */
void tile_dictionary_revert(TileDictionary *dictionary, uint32_t number);
