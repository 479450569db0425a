/* SPDX-License-Identifier: Apache-2.0 */
#include "frame-reader.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fence-wait.h"
#include "memory-guard.h"

/* enum drm_plane_type of the kernel; libdrm has it in xf86drmMode.h only. */
#define PLANE_TYPE_CURSOR 2U

struct FrameReader {
        MapCache cache;
        Composition composition; /* its planes are those of the open frame */
        ToneMap tones;

        PicturePlane picture;
        ComposePlane cursor_plane;
        Cursor cursor;
        uint32_t cursor_pixels[SEGMENT_CURSOR_SIDE * SEGMENT_CURSOR_SIDE];

        bool dmabuf;
        const MappedMemory *memories[WIRE_FRAME_FDS_MAX]; /* NULL: not used by any plane */
        int fds[WIRE_FRAME_FDS_MAX];
        uint32_t n_fds;
};

int frame_reader_new(FrameReader **ret) {
        _cleanup_free_ FrameReader *reader = calloc(1, sizeof(*reader));
        int r;

        if (!reader)
                return -ENOMEM;
        r = memory_guard_init();
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reader);
        return 0;
}

FrameReader *frame_reader_free(FrameReader *reader) {
        if (!reader)
                return NULL;
        map_cache_clear(&reader->cache);
        compose_done(&reader->composition);
        free(reader);
        return NULL;
}

uint64_t frame_reader_mapped(const FrameReader *reader) {
        return reader->cache.n_mapped;
}

/* A memfd that could still shrink would let the next read fault. */
static int check_sealed(int fd, FrameProblem *problem) {
        const int wanted = F_SEAL_SHRINK | F_SEAL_WRITE;
        int seals = fcntl(fd, F_GET_SEALS);

        return seals >= 0 && (seals & wanted) == wanted
                               ? 0
                               : frame_problem(problem, -EBADMSG, "the picture's copy is not sealed");
}

static int map_memory(FrameReader *reader, uint32_t index, FrameProblem *problem) {
        int r = 0;

        if (reader->memories[index])
                return 0;
        if (!reader->dmabuf)
                r = check_sealed(reader->fds[index], problem);
        if (r < 0)
                return r;
        r = map_cache_get(&reader->cache, reader->fds[index], reader->dmabuf, &reader->memories[index]);
        return r < 0 ? frame_problem(problem, r, "the framebuffer cannot be mapped: %s", strerror(-r)) : 0;
}

static const ToneMap *find_tones(FrameReader *reader, const struct wire_hdr *hdr) {
        if (!tone_map_needed(hdr))
                return NULL;
        if (memcmp(&reader->tones.hdr, hdr, sizeof(*hdr)) != 0)
                tone_map_init(&reader->tones, hdr);
        return &reader->tones;
}

/* 1: the plane is to be seen, 0: nothing of it is. */
static int check_plane(FrameReader *reader, const struct wire_frame *frame, const struct wire_plane *plane,
                       ComposePlane *ret, FrameProblem *problem) {
        int r, n;

        n = frame_plane_memories(frame, plane, problem);
        for (int i = 0; i < n; i++) {
                r = map_memory(reader, plane->fds[i], problem);
                if (r < 0)
                        return r;
        }
        return n < 0 ? n
                     : frame_plane_check(frame, plane, reader->memories, find_tones(reader, &frame->hdr),
                                         ret, problem);
}

/* Adds a plane to the composition, if it is to be seen. */
static int add_plane(FrameReader *reader, const struct wire_frame *frame, const struct wire_plane *plane,
                     FrameProblem *problem) {
        Composition *composition = &reader->composition;
        ComposePlane *composed = &composition->planes[composition->n_planes];
        int r;

        r = check_plane(reader, frame, plane, composed, problem);
        if (r <= 0)
                return r;
        /* On black, a premultiplied colour is as it is. */
        if (composition->n_planes == 0 && composed->blend == WIRE_BLEND_PREMULTIPLIED &&
            composed->alpha == 255)
                composed->opaque = true;
        composition->n_planes++;
        return 0;
}

/* The uppermost plane, small enough: a layer of its own. */
static int add_cursor(FrameReader *reader, const struct wire_frame *frame, const struct wire_plane *plane,
                      FrameProblem *problem) {
        int r;

        r = check_plane(reader, frame, plane, &reader->cursor_plane, problem);
        if (r <= 0)
                return r;
        r = compose_prepare_layer(&reader->composition, &reader->cursor_plane, plane->crtc_w, plane->crtc_h);
        if (r < 0)
                return frame_problem(problem, r, "the pointer cannot be read: %s", strerror(-r));
        reader->cursor = (Cursor){
                .visible = true,
                .x = plane->crtc_x,
                .y = plane->crtc_y,
                .width = plane->crtc_w,
                .height = plane->crtc_h,
                .hot_x = plane->hotspot_x,
                .hot_y = plane->hotspot_y,
                .pitch = plane->crtc_w * sizeof(uint32_t),
                .pixels = (const uint8_t *) reader->cursor_pixels,
        };
        return 0;
}

static int wait_rendered(FrameReader *reader, FrameProblem *problem) {
        int fds[WIRE_FRAME_FDS_MAX], r;
        size_t n = 0;

        for (uint32_t i = 0; i < reader->n_fds && reader->dmabuf; i++)
                if (reader->memories[i])
                        fds[n++] = reader->fds[i];
        r = fence_wait(fds, n, FRAME_WAIT_MS);
        if (r == -ETIME)
                return frame_problem(problem, r, "rendering took longer than %i ms", FRAME_WAIT_MS);
        return r < 0 ? frame_problem(problem, r, "the framebuffer cannot be waited for: %s", strerror(-r))
                     : 0;
}

static bool is_layer(const struct wire_frame *frame, uint32_t i) {
        const struct wire_plane *plane = &frame->planes[i];

        return plane->type == PLANE_TYPE_CURSOR && i == frame->n_planes - 1 &&
               plane->crtc_w <= SEGMENT_CURSOR_SIDE && plane->crtc_h <= SEGMENT_CURSOR_SIDE;
}

static int open_planes(FrameReader *reader, const struct wire_frame *frame, FrameProblem *problem) {
        int r;

        for (uint32_t i = 0; i < frame->n_planes; i++) {
                const struct wire_plane *plane = &frame->planes[i];

                r = is_layer(frame, i) ? add_cursor(reader, frame, plane, problem)
                                       : add_plane(reader, frame, plane, problem);
                /* Better a picture without a pointer than none. */
                if (r < 0 && plane->type != PLANE_TYPE_CURSOR)
                        return r;
        }
        if (reader->composition.n_planes == 0)
                return frame_problem(problem, -EBADMSG, "none of its planes is inside the output");
        if (frame->pointer_missing)
                (void) frame_problem(problem, 0,
                                     "the pointer is not recorded: its memory cannot be given out");
        return 0;
}

int frame_open(FrameReader *reader, const struct wire_frame *frame, const int *fds, FrameProblem *problem) {
        Composition *composition = &reader->composition;
        int r;

        frame_close(reader);
        *problem = (FrameProblem){};
        if (frame->memory != WIRE_MEMORY_DMABUF && frame->memory != WIRE_MEMORY_MEMFD)
                return frame_problem(problem, -EBADMSG, "memory of unknown kind %u", frame->memory);
        if (frame->n_planes > WIRE_PLANES_MAX || frame->n_fds > WIRE_FRAME_FDS_MAX)
                return frame_problem(problem, -EBADMSG, "%u planes of %u descriptors are too many",
                                     frame->n_planes, frame->n_fds);
        reader->dmabuf = frame->memory == WIRE_MEMORY_DMABUF;
        reader->n_fds = frame->n_fds;
        memcpy(reader->fds, fds, frame->n_fds * sizeof(*fds));
        composition->width = frame->width;
        composition->height = frame->height;

        r = open_planes(reader, frame, problem);
        if (r < 0)
                return r;
        if (!compose_is_copy(composition, &reader->picture)) {
                r = compose_prepare(composition);
                if (r < 0)
                        return frame_problem(problem, r,
                                             r == -EOPNOTSUPP ? "a plane is scaled down too far to be read"
                                                              : "there is no memory to compose the picture");
                reader->picture = (PicturePlane){ .compose = compose_rows, .composition = composition };
        }
        return wait_rendered(reader, problem);
}

static int sync_memory(int fd, uint64_t flags) {
        const struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_READ | flags };

        while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) < 0)
                if (errno != EINTR && errno != EAGAIN)
                        return -errno;
        return 0;
}

/* Ends what was begun of the first n. */
static int sync_end(const FrameReader *reader, uint32_t n) {
        int r = 0;

        for (uint32_t i = n; i > 0 && reader->dmabuf; i--)
                if (reader->memories[i - 1]) {
                        int q = sync_memory(reader->fds[i - 1], DMA_BUF_SYNC_END);
                        r = q < 0 ? q : r;
                }
        return r;
}

static int sync_start(const FrameReader *reader) {
        for (uint32_t i = 0; i < reader->n_fds && reader->dmabuf; i++)
                if (reader->memories[i]) {
                        int r = sync_memory(reader->fds[i], DMA_BUF_SYNC_START);
                        if (r < 0) {
                                (void) sync_end(reader, i);
                                return r;
                        }
                }
        return 0;
}

typedef struct Reading {
        void (*read)(const PicturePlane *plane, void *userdata);
        void *userdata;
        FrameReader *reader;
} Reading;

static void read_picture(void *userdata) {
        const Reading *reading = userdata;
        FrameReader *reader = reading->reader;

        if (reader->cursor.visible)
                compose_layer(&reader->composition, &reader->cursor_plane, reader->cursor.width,
                              reader->cursor.height, reader->cursor_pixels);
        reading->read(&reader->picture, reading->userdata);
}

int frame_read(FrameReader *reader, void (*read)(const PicturePlane *plane, void *userdata), void *userdata,
               FrameProblem *problem) {
        GuardedMemory memories[WIRE_FRAME_FDS_MAX];
        Reading reading = { read, userdata, reader };
        size_t n = 0;
        int r, end;

        for (uint32_t i = 0; i < reader->n_fds; i++)
                if (reader->memories[i])
                        memories[n++] = (GuardedMemory){ reader->memories[i]->memory,
                                                         reader->memories[i]->size };
        r = sync_start(reader);
        if (r >= 0) {
                r = memory_guarded(memories, n, read_picture, &reading);
                end = sync_end(reader, reader->n_fds);
                r = r < 0 ? r : end;
        }
        if (r == -EFAULT) {
                frame_forget(reader);
                return frame_problem(problem, r, "the framebuffer's memory went away while it was read");
        }
        return r < 0 ? frame_problem(problem, r, "the framebuffer cannot be read: %s", strerror(-r)) : 0;
}

const Cursor *frame_cursor(const FrameReader *reader) {
        return &reader->cursor;
}

void frame_close(FrameReader *reader) {
        memset(reader->memories, 0, sizeof(reader->memories));
        reader->composition.n_planes = 0;
        reader->cursor.visible = false;
        reader->n_fds = 0;
        map_cache_release(&reader->cache);
}

void frame_forget(FrameReader *reader) {
        frame_close(reader);
        map_cache_clear(&reader->cache);
}
