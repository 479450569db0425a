/* SPDX-License-Identifier: Apache-2.0 */
#include "plane/copy.h"

#include <fcntl.h>
#include <sys/mman.h>

#define PAGE UINT64_C(4096)

typedef struct Mapping {
        void *memory; /* MAP_FAILED: none */
        size_t size;
} Mapping;

static void mapping_unmap(Mapping *mapping) {
        if (mapping->memory != MAP_FAILED)
                (void) munmap(mapping->memory, mapping->size);
}

/* The bytes to its last row, in whole pages, which is what a buffer is made of. */
static int framebuffer_size(const struct drm_mode_fb_cmd2 *fb, size_t *ret) {
        uint64_t size = (uint64_t) fb->pitches[0] * fb->height + fb->offsets[0];

        size = (size + PAGE - 1) / PAGE * PAGE;
        if (size == 0 || size > COPY_SIZE_MAX)
                return -EOPNOTSUPP;
        *ret = size;
        return 0;
}

static int framebuffer_map(const Framebuffer *framebuffer, Mapping *ret) {
        struct drm_mode_map_dumb map = { .handle = framebuffer->fb.handles[0] };
        Mapping mapping;
        int r;

        r = framebuffer_size(&framebuffer->fb, &mapping.size);
        if (r < 0)
                return r;
        if (drmIoctl(framebuffer->card_fd, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0)
                return -EOPNOTSUPP;
        mapping.memory = mmap(NULL, mapping.size, PROT_READ, MAP_SHARED, framebuffer->card_fd,
                              (off_t) map.offset);
        if (mapping.memory == MAP_FAILED)
                return -EOPNOTSUPP;
        *ret = mapping;
        return 0;
}

/* EFAULT is what a read of the mapping would have had as SIGBUS. */
static int write_all(int fd, const Mapping *from) {
        for (size_t done = 0; done < from->size;) {
                ssize_t n = pwrite(fd, (const uint8_t *) from->memory + done, from->size - done,
                                   (off_t) done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EFAULT ? -EOPNOTSUPP : -errno;
                if (n == 0)
                        return -EIO;
                done += (size_t) n;
        }
        return 0;
}

int framebuffer_copy(const Framebuffer *framebuffer, FrameMemory *memory, struct wire_plane *plane) {
        const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        _cleanup_(mapping_unmap) Mapping mapping = { MAP_FAILED, 0 };
        _cleanup_close_ int fd = -1;
        int r;

        /* Drivers that do not export know RGB alone, which is in one piece. */
        if (framebuffer->fb.handles[1] != 0)
                return -EOPNOTSUPP;
        r = framebuffer_map(framebuffer, &mapping);
        if (r < 0)
                return r;
        /* Without MFD_CLOEXEC, which a process that cannot execute has no use for: so the sandbox can tell
         * it from sd-journal's. */
        fd = memfd_create("frame", MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        r = write_all(fd, &mapping);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, seals) < 0)
                return -errno;
        r = frame_memory_add(memory, TAKE_FD(fd), &plane->fds[0]);
        if (r < 0)
                return r;
        framebuffer_describe(framebuffer, plane);
        return 0;
}
