/* SPDX-License-Identifier: Apache-2.0 */
#include "frame-map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <drm_fourcc.h>
#include <drm_mode.h>

#include "cleanup.h"

#define PIXEL_SIZE  4U
#define FB_SIDE_MAX 65536U
/* enum drm_plane_type of the kernel; libdrm has it in xf86drmMode.h only. */
#define PLANE_TYPE_PRIMARY 1U

static int problem_set(FrameProblem *problem, int error, const char *format, ...) _printf_(3, 4);

static int problem_set(FrameProblem *problem, int error, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(problem->text, sizeof(problem->text), format, arguments);
        va_end(arguments);
        return error;
}

static void format_name(uint32_t format, char name[5]) {
        for (int i = 0; i < 4; i++) {
                uint8_t c = (uint8_t) (format >> 8 * i);
                name[i] = c > ' ' && c < 0x7f ? (char) c : '?';
        }
        name[4] = '\0';
}

static int check_format(const struct wire_plane *plane, bool *ret_swap, FrameProblem *problem) {
        bool linear = plane->modifier == DRM_FORMAT_MOD_LINEAR || plane->modifier == DRM_FORMAT_MOD_INVALID;
        char name[5];

        problem->format = plane->format;
        problem->modifier = plane->modifier;
        switch (linear ? plane->format : 0) {
        case DRM_FORMAT_XRGB8888:
        case DRM_FORMAT_ARGB8888:
                *ret_swap = false;
                return 0;
        case DRM_FORMAT_XBGR8888:
        case DRM_FORMAT_ABGR8888:
                *ret_swap = true;
                return 0;
        default:
                format_name(plane->format, name);
                return problem_set(problem, -EOPNOTSUPP,
                                   "framebuffer format %s with modifier %#" PRIx64 " cannot be read", name,
                                   plane->modifier);
        }
}

/* The rectangle of the framebuffer that the plane shows, in whole pixels, and where. */
static int check_geometry(const struct wire_frame *frame, const struct wire_plane *plane,
                          uint32_t *ret_src_x, uint32_t *ret_src_y, PicturePlane *ret,
                          FrameProblem *problem) {
        uint32_t src_w = plane->src_w >> 16, src_h = plane->src_h >> 16;
        int64_t x = plane->crtc_x, y = plane->crtc_y;
        uint32_t src_x = plane->src_x >> 16, src_y = plane->src_y >> 16;

        if (plane->rotation != 0 && plane->rotation != DRM_MODE_ROTATE_0)
                return problem_set(problem, -EOPNOTSUPP, "a plane rotated by hardware (%#x) cannot be read",
                                   plane->rotation);
        if (src_w != plane->crtc_w || src_h != plane->crtc_h)
                return problem_set(problem, -EOPNOTSUPP, "a plane scaled by hardware cannot be read");
        if (plane->width > FB_SIDE_MAX || plane->height > FB_SIDE_MAX || src_w > plane->width ||
            src_h > plane->height || src_x > plane->width - src_w || src_y > plane->height - src_h)
                return problem_set(problem, -EBADMSG, "the plane shows more than its framebuffer");

        /* What hangs over the picture's edges is not seen. */
        int64_t right = x + src_w < frame->width ? x + src_w : frame->width;
        int64_t bottom = y + src_h < frame->height ? y + src_h : frame->height;
        int64_t left = x > 0 ? x : 0, top = y > 0 ? y : 0;
        if (right <= left || bottom <= top)
                return problem_set(problem, -EBADMSG, "the plane is outside its output");
        *ret_src_x = src_x + (uint32_t) (left - x);
        *ret_src_y = src_y + (uint32_t) (top - y);
        ret->x = (uint32_t) left;
        ret->y = (uint32_t) top;
        ret->width = (uint32_t) (right - left);
        ret->height = (uint32_t) (bottom - top);
        return 0;
}

/* The number of bytes that the framebuffer takes from the beginning of its memory. */
static int check_layout(const struct wire_plane *plane, uint64_t *ret_size, FrameProblem *problem) {
        uint32_t pitch = plane->pitches[0], offset = plane->offsets[0];

        if (plane->n_memory != 1)
                return problem_set(problem, -EOPNOTSUPP, "a framebuffer in %u parts cannot be read",
                                   plane->n_memory);
        if (pitch % PIXEL_SIZE != 0 || offset % PIXEL_SIZE != 0 ||
            (uint64_t) plane->width * PIXEL_SIZE > pitch)
                return problem_set(problem, -EBADMSG,
                                   "the framebuffer's pitch %u or offset %u is impossible", pitch, offset);
        /* Cannot overflow: 32 bits times 17 plus 32 bits. */
        *ret_size = (uint64_t) pitch * (plane->height - 1) + (uint64_t) plane->width * PIXEL_SIZE + offset;
        return 0;
}

/* A memfd that could still shrink would let the next read fault. */
static int check_sealed(int fd, FrameProblem *problem) {
        const int wanted = F_SEAL_SHRINK | F_SEAL_WRITE;
        int seals = fcntl(fd, F_GET_SEALS);

        return seals >= 0 && (seals & wanted) == wanted
                               ? 0
                               : problem_set(problem, -EBADMSG, "the picture's copy is not sealed");
}

/* The fences of rendering: poll() waits for them with a bound, DMA_BUF_IOCTL_SYNC does without. */
static int wait_rendered(int fd, FrameProblem *problem) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        struct timespec timeout = { .tv_nsec = FRAME_WAIT_MS * 1000000L };
        int n;

        do
                n = ppoll(&poll_fd, 1, &timeout, NULL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return problem_set(problem, -errno, "waiting for the picture failed: %m");
        if (n == 0)
                return problem_set(problem, -ETIME, "rendering took longer than %i ms", FRAME_WAIT_MS);
        return poll_fd.revents & POLLIN ? 0
                                        : problem_set(problem, -EIO, "the framebuffer cannot be waited for");
}

static int map_memory(FrameMap *map, uint64_t needed, FrameProblem *problem) {
        off_t size = lseek(map->fd, 0, SEEK_END);

        if (size < 0)
                return problem_set(problem, -errno, "the framebuffer's memory has no size: %m");
        if (needed > (uint64_t) size)
                return problem_set(problem, -EBADMSG,
                                   "the framebuffer needs %" PRIu64 " bytes, its memory has %" PRIi64,
                                   needed, (int64_t) size);
        void *memory = mmap(NULL, (size_t) needed, PROT_READ, MAP_SHARED, map->fd, 0);
        if (memory == MAP_FAILED)
                return problem_set(problem, -errno, "the framebuffer cannot be mapped: %m");
        map->memory = memory;
        map->size = (size_t) needed;
        return 0;
}

int frame_map(FrameMap *ret, const struct wire_frame *frame, const int *fds, FrameProblem *problem) {
        FrameMap map = { .dmabuf = frame->memory == WIRE_MEMORY_DMABUF };
        const struct wire_plane *plane = NULL;
        uint32_t src_x = 0, src_y = 0;
        uint64_t needed = 0;
        int r;

        *problem = (FrameProblem){};
        if (!map.dmabuf && frame->memory != WIRE_MEMORY_MEMFD)
                return problem_set(problem, -EBADMSG, "memory of unknown kind %u", frame->memory);
        if (frame->n_planes > WIRE_PLANES_MAX)
                return problem_set(problem, -EBADMSG, "%u planes are too many", frame->n_planes);
        for (uint32_t i = 0; i < frame->n_planes && !plane; i++)
                if (frame->planes[i].type == PLANE_TYPE_PRIMARY)
                        plane = &frame->planes[i];
        if (!plane)
                return problem_set(problem, -EOPNOTSUPP, "the output has no primary plane");
        if (plane->fds[0] >= frame->n_fds)
                return problem_set(problem, -EBADMSG, "the plane has no descriptor");
        if (plane->width < 1 || plane->height < 1)
                return problem_set(problem, -EBADMSG, "the framebuffer is empty");
        map.fd = fds[plane->fds[0]];

        r = check_format(plane, &map.plane.swap, problem);
        if (r >= 0)
                r = check_geometry(frame, plane, &src_x, &src_y, &map.plane, problem);
        if (r >= 0)
                r = check_layout(plane, &needed, problem);
        if (r >= 0)
                r = map.dmabuf ? wait_rendered(map.fd, problem) : check_sealed(map.fd, problem);
        if (r >= 0)
                r = map_memory(&map, needed, problem);
        if (r < 0)
                return r;

        /* What dma-bufs of graphics memory mostly are; on other memory the loads are ordinary ones. */
        map.plane.write_combined = map.dmabuf;
        map.plane.pitch = plane->pitches[0];
        map.plane.pixels = (const uint8_t *) map.memory + plane->offsets[0] + src_y * map.plane.pitch +
                           (size_t) src_x * PIXEL_SIZE;
        *ret = map;
        return 0;
}

static int sync_memory(const FrameMap *map, uint64_t flags) {
        const struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_READ | flags };

        if (!map->dmabuf)
                return 0;
        while (ioctl(map->fd, DMA_BUF_IOCTL_SYNC, &sync) < 0)
                if (errno != EINTR && errno != EAGAIN)
                        return -errno;
        return 0;
}

int frame_begin(const FrameMap *map) {
        return sync_memory(map, DMA_BUF_SYNC_START);
}

int frame_end(const FrameMap *map) {
        return sync_memory(map, DMA_BUF_SYNC_END);
}

void frame_unmap(FrameMap *map) {
        if (map->memory)
                munmap((void *) map->memory, map->size);
        *map = (FrameMap){ .fd = -1 };
}
