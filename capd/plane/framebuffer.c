/* SPDX-License-Identifier: Apache-2.0 */
#include "plane/framebuffer.h"

#include <drm_fourcc.h>
#include <fcntl.h> /* DRM_CLOEXEC */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MEMORY_MAX ELEMENTSOF(((struct drm_mode_fb_cmd2 *) 0)->handles)

int framebuffer_get(int card_fd, uint32_t fb_id, Framebuffer *ret) {
        _cleanup_(framebuffer_release) Framebuffer framebuffer = { card_fd, { .fb_id = fb_id } };

        if (drmIoctl(card_fd, DRM_IOCTL_MODE_GETFB2, &framebuffer.fb) < 0)
                return errno == ENODEV ? -EOPNOTSUPP : -errno;
        /* drm_mode_getfb2_ioctl(): neither master nor CAP_SYS_ADMIN in the initial user namespace is no
         * error there, but yields a description without handles. */
        if (framebuffer.fb.handles[0] == 0)
                return -EPERM;

        *ret = framebuffer;
        framebuffer.fb = (struct drm_mode_fb_cmd2){};
        return 0;
}

static void gem_close(int card_fd, uint32_t handle) {
        struct drm_gem_close gem = { .handle = handle };
        int r = drmIoctl(card_fd, DRM_IOCTL_GEM_CLOSE, &gem);

        /* Anything else means that handles are miscounted here, and somebody else's may be closed next. */
        assert(r == 0 || errno == ENODEV);
}

/* Which memory plane is the first with the same handle as this one, at most itself. */
static size_t memory_first(const struct drm_mode_fb_cmd2 *fb, size_t i) {
        size_t first = 0;

        while (fb->handles[first] != fb->handles[i])
                first++;
        return first;
}

void framebuffer_release(Framebuffer *framebuffer) {
        const struct drm_mode_fb_cmd2 *fb = &framebuffer->fb;

        for (size_t i = 0; i < MEMORY_MAX; i++)
                if (fb->handles[i] != 0 && memory_first(fb, i) == i)
                        gem_close(framebuffer->card_fd, fb->handles[i]);
        framebuffer->fb = (struct drm_mode_fb_cmd2){};
}

uint64_t framebuffer_modifier(const Framebuffer *framebuffer) {
        return framebuffer->fb.flags & DRM_MODE_FB_MODIFIERS ? framebuffer->fb.modifier[0]
                                                             : DRM_FORMAT_MOD_INVALID;
}

void frame_memory_close(FrameMemory *memory) {
        for (size_t i = 0; i < memory->n; i++)
                safe_close(memory->fds[i]);
        memory->n = 0;
}

/* glibc's fstat() is newfstatat(), with which a path could be looked at: the sandbox knows fstat(2) only.
 * The kernel's struct is glibc's on the 64-bit architectures. */
static int memory_inode(int fd, uint64_t *ret) {
        static_assert(sizeof(long) == 8 && sizeof(((struct stat *) 0)->st_ino) == 8, "64 bit only");
        struct stat st;

        if (syscall(SYS_fstat, fd, &st) < 0)
                return -errno;
        *ret = st.st_ino;
        return 0;
}

int frame_memory_add(FrameMemory *memory, int fd, uint32_t *ret_index) {
        _cleanup_close_ int owned = fd;
        uint64_t inode = 0;
        size_t i;
        int r;

        r = memory_inode(owned, &inode);
        if (r < 0)
                return r;
        for (i = 0; i < memory->n; i++)
                if (memory->inodes[i] == inode)
                        break;
        if (i == ELEMENTSOF(memory->fds))
                return -ENOBUFS;
        if (i == memory->n) {
                memory->inodes[i] = inode;
                memory->fds[i] = TAKE_FD(owned);
                memory->n++;
        }
        *ret_index = (uint32_t) i;
        return 0;
}

/* Some drivers export what they then let nobody map (qxl, nvidia-drm). */
static int dmabuf_try_map(int fd) {
        const size_t page = 4096;
        void *memory = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);

        if (memory == MAP_FAILED)
                return errno == ENOMEM ? -errno : -EOPNOTSUPP;
        (void) munmap(memory, page);
        return 0;
}

static int gem_export(int card_fd, uint32_t handle, FrameMemory *memory, uint32_t *ret_index) {
        /* Without DRM_RDWR the descriptor is for reading; whether the memory can be mapped for writing all
         * the same is the exporter's business (docs of dma_buf_export()), so the receiver confines itself.
         */
        struct drm_prime_handle prime = { .handle = handle, .flags = DRM_CLOEXEC, .fd = -1 };
        _cleanup_close_ int fd = -1;
        int r;

        if (drmIoctl(card_fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) < 0)
                return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -EOPNOTSUPP;
        fd = prime.fd;
        r = dmabuf_try_map(fd);
        if (r < 0)
                return r;
        return frame_memory_add(memory, TAKE_FD(fd), ret_index);
}

void framebuffer_describe(const Framebuffer *framebuffer, struct wire_plane *plane) {
        const struct drm_mode_fb_cmd2 *fb = &framebuffer->fb;

        for (plane->n_memory = 0; plane->n_memory < MEMORY_MAX && fb->handles[plane->n_memory] != 0;
             plane->n_memory++) {
                plane->pitches[plane->n_memory] = fb->pitches[plane->n_memory];
                plane->offsets[plane->n_memory] = fb->offsets[plane->n_memory];
        }
        plane->format = fb->pixel_format;
        plane->modifier = framebuffer_modifier(framebuffer);
        plane->width = fb->width;
        plane->height = fb->height;
}

int framebuffer_export(const Framebuffer *framebuffer, FrameMemory *memory, struct wire_plane *plane) {
        const struct drm_mode_fb_cmd2 *fb = &framebuffer->fb;

        for (uint32_t n = 0; n < MEMORY_MAX && fb->handles[n] != 0; n++) {
                size_t first = memory_first(fb, n);

                if (first < n)
                        plane->fds[n] = plane->fds[first];
                else {
                        int r = gem_export(framebuffer->card_fd, fb->handles[n], memory, &plane->fds[n]);
                        if (r < 0)
                                return r;
                }
        }
        framebuffer_describe(framebuffer, plane);
        return 0;
}
