/* SPDX-License-Identifier: Apache-2.0 */
#include "tile-dictionary.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS (SEGMENT_DICTIONARY_TILES * 2U)
#define NONE    UINT32_MAX

_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "masks are used for its positions");

typedef struct Entry {
        TileHash hash;
        uint32_t number;
        uint32_t next; /* the entry before it in the bucket, as a number, or NONE; itself: it is in none */
} Entry;

/* Entries are a ring by number; a bucket's chain is followed from newer to older numbers, and ends where the
 * next one is out of the window. */
struct TileDictionary {
        uint8_t secret[TILE_HASH_SECRET_SIZE];
        uint32_t next;
        uint32_t reserve; /* tiles that may still be added in this frame */
        uint32_t buckets[BUCKETS];
        Entry entries[SEGMENT_DICTIONARY_TILES];
};

int tile_dictionary_new(TileDictionary **ret) {
        _cleanup_(tile_dictionary_freep) TileDictionary *dictionary = calloc(1, sizeof(*dictionary));

        if (!dictionary)
                return -ENOMEM;
        /* At most 256 bytes come whole or not at all, getrandom(2). */
        if (getrandom(dictionary->secret, sizeof(dictionary->secret), 0) != sizeof(dictionary->secret))
                return -errno;
        tile_dictionary_clear(dictionary);
        *ret = TAKE_PTR(dictionary);
        return 0;
}

TileDictionary *tile_dictionary_free(TileDictionary *dictionary) {
        free(dictionary);
        return NULL;
}

void tile_dictionary_clear(TileDictionary *dictionary) {
        dictionary->next = 0;
        memset(dictionary->buckets, 0xff, sizeof(dictionary->buckets));
}

void tile_dictionary_begin(TileDictionary *dictionary, uint32_t n) {
        dictionary->reserve = n;
}

TileHash tile_dictionary_hash(const TileDictionary *dictionary, const Picture *picture, uint32_t tile) {
        return tile_hash(picture, tile, dictionary->secret);
}

static bool in_window(const TileDictionary *dictionary, uint32_t number) {
        return number != NONE && number < dictionary->next &&
               (uint64_t) dictionary->next - number + dictionary->reserve <= SEGMENT_DICTIONARY_TILES;
}

bool tile_dictionary_find(const TileDictionary *dictionary, TileHash hash, uint32_t *ret_number) {
        uint32_t number = dictionary->buckets[hash.low & (BUCKETS - 1)];

        while (in_window(dictionary, number)) {
                const Entry *entry = &dictionary->entries[number % SEGMENT_DICTIONARY_TILES];
                /* Overwritten by a tile that was taken back since. */
                if (entry->number != number)
                        break;
                if (entry->hash.low == hash.low && entry->hash.high == hash.high) {
                        *ret_number = number;
                        return true;
                }
                number = entry->next;
        }
        return false;
}

bool tile_dictionary_add(TileDictionary *dictionary, TileHash hash, uint32_t *ret_number) {
        uint32_t *bucket = &dictionary->buckets[hash.low & (BUCKETS - 1)];

        if (tile_dictionary_find(dictionary, hash, ret_number))
                return true;
        dictionary->entries[dictionary->next % SEGMENT_DICTIONARY_TILES] =
                        (Entry){ hash, dictionary->next, *bucket };
        *bucket = dictionary->next++;
        if (dictionary->reserve > 0)
                dictionary->reserve--;
        return false;
}

void tile_dictionary_skip(TileDictionary *dictionary) {
        uint32_t number = dictionary->next++;

        dictionary->entries[number % SEGMENT_DICTIONARY_TILES] = (Entry){ .number = number, .next = number };
        if (dictionary->reserve > 0)
                dictionary->reserve--;
}

uint32_t tile_dictionary_next(const TileDictionary *dictionary) {
        return dictionary->next;
}

void tile_dictionary_revert(TileDictionary *dictionary, uint32_t number) {
        while (dictionary->next > number) {
                const Entry *entry = &dictionary->entries[--dictionary->next % SEGMENT_DICTIONARY_TILES];
                if (entry->next != entry->number)
                        dictionary->buckets[entry->hash.low & (BUCKETS - 1)] = entry->next;
        }
}
