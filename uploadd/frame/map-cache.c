/* SPDX-License-Identifier: Apache-2.0 */
#include "map-cache.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"

/* glibc's fstat() is newfstatat(), with which a path could be looked at: the sandbox knows fstat(2) only.
 * The kernel's struct is glibc's on the 64-bit architectures. */
static int identify(int fd, bool keep, MappedMemory *ret) {
        static_assert(sizeof(long) == 8 && sizeof(((struct stat *) 0)->st_ino) == 8, "64 bit only");
        struct stat st = {};

        if (keep && syscall(SYS_fstat, fd, &st) < 0)
                return -errno;
        /* st_size of a dma-buf is 0. */
        off_t size = lseek(fd, 0, SEEK_END);
        if (size < 0)
                return -errno;
        if (size == 0)
                return -EINVAL;
        if ((uint64_t) size > MAP_SIZE_MAX)
                return -EFBIG;
        *ret = (MappedMemory){ .device = st.st_dev, .inode = st.st_ino, .size = (size_t) size };
        return 0;
}

static void unmap(MappedMemory *entry) {
        if (entry->used > 0)
                munmap((void *) entry->memory, entry->size);
        *entry = (MappedMemory){};
}

static bool is_same(const MappedMemory *a, const MappedMemory *b) {
        return a->device == b->device && a->inode == b->inode && a->size == b->size;
}

/* A free entry, or the longest unused; NULL: all are held. */
static MappedMemory *find_room(MapCache *cache) {
        MappedMemory *oldest = NULL;

        for (size_t i = 0; i < MAP_CACHE_SIZE; i++) {
                MappedMemory *entry = &cache->entries[i];
                if (!entry->held && (!oldest || entry->used < oldest->used))
                        oldest = entry;
        }
        return oldest;
}

int map_cache_get(MapCache *cache, int fd, bool keep, const MappedMemory **ret) {
        MappedMemory wanted, *entry;
        int r;

        r = identify(fd, keep, &wanted);
        if (r < 0)
                return r;
        wanted.used = boottime_now();
        wanted.held = true;
        wanted.kept = keep;
        for (size_t i = 0; i < MAP_CACHE_SIZE && keep; i++) {
                entry = &cache->entries[i];
                if (entry->used > 0 && entry->kept && is_same(entry, &wanted)) {
                        entry->used = wanted.used;
                        entry->held = true;
                        *ret = entry;
                        return 0;
                }
        }

        entry = find_room(cache);
        if (!entry)
                return -ENOBUFS;
        void *memory = mmap(NULL, wanted.size, PROT_READ, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
                return -errno;
        wanted.memory = memory;
        unmap(entry);
        *entry = wanted;
        cache->n_mapped++;
        *ret = entry;
        return 0;
}

void map_cache_release(MapCache *cache) {
        uint64_t now = boottime_now();

        for (size_t i = 0; i < MAP_CACHE_SIZE; i++) {
                MappedMemory *entry = &cache->entries[i];
                entry->held = false;
                if (entry->used > 0 && (!entry->kept || now - entry->used > MAP_CACHE_AGE))
                        unmap(entry);
        }
}

void map_cache_clear(MapCache *cache) {
        for (size_t i = 0; i < MAP_CACHE_SIZE; i++)
                unmap(&cache->entries[i]);
}
