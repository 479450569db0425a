/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Memory behind descriptors, mapped for reading; never for writing. A compositor shows the same few buffers
 * in turn: a dma-buf's mapping is kept and found again by its inode, so that its pages are not faulted in at
 * each frame. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct MappedMemory {
        uint64_t device, inode; /* a mapping keeps the inode from being used again */
        const uint8_t *memory;
        size_t size;
        uint64_t used; /* CLOCK_BOOTTIME, µs; 0: the entry is free */
        bool held;     /* between map_cache_get() and map_cache_release() */
        bool kept;     /* after that, too */
} MappedMemory;

#define MAP_CACHE_SIZE 32U /* at least twice WIRE_FRAME_FDS_MAX */
#define MAP_CACHE_AGE                                                                                       \
        UINT64_C(5000000) /* µs: what has not been shown for so long may be somebody's to free */
#define MAP_SIZE_MAX (UINT64_C(1) << 30)

typedef struct MapCache {
        MappedMemory entries[MAP_CACHE_SIZE];
        uint64_t n_mapped; /* times that something was mapped */
} MapCache;

/* All of the descriptor's memory. keep: it is worth finding again. -EFBIG; -ENOBUFS: more at a time than
 * there is room for; others from the kernel. */
int map_cache_get(MapCache *cache, int fd, bool keep, const MappedMemory **ret);

/* Gives back all that was got since the last time; unmaps what is not kept, or has not been used for
 * MAP_CACHE_AGE. Call it now and then also if nothing is got. */
void map_cache_release(MapCache *cache);

/* Unmaps everything. */
void map_cache_clear(MapCache *cache);
