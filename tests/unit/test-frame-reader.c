/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm_fourcc.h>

#include "cleanup.h"
#include "draw.h"
#include "frame-reader.h"
#include "memory-guard.h"
#include "pixels.h"

#define WIDTH  70U
#define HEIGHT 20U
#define PITCH  (WIDTH * 4 + 24)

/* An honest frame, from which each test departs. */
static const struct wire_frame honest = {
        .type = WIRE_FRAME_FRAME,
        .width = WIDTH,
        .height = HEIGHT,
        .memory = WIRE_MEMORY_MEMFD,
        .n_fds = 1,
        .n_planes = 1,
        .planes = { {
                        .type = 1,
                        .format = DRM_FORMAT_XRGB8888,
                        .n_memory = 1,
                        .modifier = DRM_FORMAT_MOD_LINEAR,
                        .width = WIDTH,
                        .height = HEIGHT,
                        .pitches = { PITCH },
                        .src_w = WIDTH << 16,
                        .src_h = HEIGHT << 16,
                        .crtc_w = WIDTH,
                        .crtc_h = HEIGHT,
                        .alpha = 0xffff,
        } },
};

/* Exactly as many bytes as the honest frame needs, up to a byte that must never be read. */
static int memory_new(size_t size, int seals) {
        int fd = memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        uint8_t byte;

        assert_true(fd >= 0);
        for (size_t i = 0; i < size; i++) {
                byte = (uint8_t) (i * 37 + i / 256);
                assert_int_equal(pwrite(fd, &byte, 1, (off_t) i), 1);
        }
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

typedef struct Shown {
        const PicturePlane *plane;
        Picture picture;
        bool drawn;
} Shown;

static void show(const PicturePlane *plane, void *userdata) {
        Shown *shown = userdata;

        shown->plane = plane;
        draw(&shown->picture, plane);
        shown->drawn = true;
}

/* Reads all of the frame, as the encoder would. */
static int read_frame(FrameReader *reader, const struct wire_frame *frame, int fd, FrameProblem *problem) {
        Shown shown = {};
        int r;

        r = frame_open(reader, frame, &fd, problem);
        if (r >= 0) {
                assert_return_code(picture_init(&shown.picture, frame->width, frame->height), 0);
                r = frame_read(reader, show, &shown, problem);
                assert_true(r < 0 || shown.drawn);
                picture_done(&shown.picture);
        }
        frame_close(reader);
        assert_true(r >= 0 || problem->text[0] != '\0');
        return r;
}

static int try_map(const struct wire_frame *frame, size_t size, int seals, FrameProblem *problem) {
        _cleanup_close_ int fd = memory_new(size, seals);
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;

        assert_return_code(frame_reader_new(&reader), 0);
        return read_frame(reader, frame, fd, problem);
}

#define SEALED (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)
#define NEEDED (PITCH * (HEIGHT - 1) + WIDTH * 4)

static void look(const PicturePlane *plane, void *userdata) {
        *(uint8_t *) userdata = plane->pixels[PITCH + 4];
}

static void test_honest(void **state) {
        _cleanup_close_ int fd = memory_new(NEEDED, SEALED);
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        FrameProblem problem;
        uint8_t seen = 0;
        (void) state;

        assert_return_code(frame_reader_new(&reader), 0);
        assert_return_code(frame_open(reader, &honest, &fd, &problem), 0);
        assert_return_code(frame_read(reader, look, &seen, &problem), 0);
        assert_int_equal(seen, (uint8_t) ((PITCH + 4) * 37 + (PITCH + 4) / 256));
        frame_close(reader);
        assert_return_code(try_map(&honest, NEEDED, SEALED, &problem), 0);
}

static void test_memory_that_can_shrink(void **state) {
        FrameProblem problem;
        (void) state;
        assert_int_equal(try_map(&honest, NEEDED, F_SEAL_WRITE, &problem), -EBADMSG);
        assert_int_equal(try_map(&honest, NEEDED, F_SEAL_SHRINK, &problem), -EBADMSG);
        assert_non_null(strstr(problem.text, "sealed"));
}

static void test_too_little_memory(void **state) {
        FrameProblem problem;
        (void) state;
        assert_int_equal(try_map(&honest, NEEDED - 1, SEALED, &problem), -EBADMSG);
        assert_int_equal(try_map(&honest, 1, SEALED, &problem), -EBADMSG);
}

/* A memfd that is called a dma-buf maps, but its owner cannot make us read it: SYNC refuses. */
static void test_no_dmabuf(void **state) {
        _cleanup_close_ int fd = memory_new(NEEDED, 0);
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        struct wire_frame frame = honest;
        FrameProblem problem;
        uint8_t seen = 0;
        (void) state;

        frame.memory = WIRE_MEMORY_DMABUF;
        assert_return_code(frame_reader_new(&reader), 0);
        for (unsigned i = 0; i < 3; i++) {
                assert_return_code(frame_open(reader, &frame, &fd, &problem), 0);
                assert_int_equal(frame_read(reader, look, &seen, &problem), -ENOTTY);
                frame_close(reader);
        }
        assert_int_equal(seen, 0);
        /* The same memory, found again by its inode. */
        assert_int_equal(frame_reader_mapped(reader), 1);
}

static void test_undecodable_is_named(void **state) {
        struct wire_frame frame = honest;
        FrameProblem problem;
        (void) state;

        frame.planes[0].modifier = 0x0100000000000004;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EOPNOTSUPP);
        assert_non_null(strstr(problem.text, "XR24 with I915_FORMAT_MOD_Y_TILED_CCS"));
        assert_int_equal(problem.format, DRM_FORMAT_XRGB8888);
        assert_int_equal(problem.modifier, 0x0100000000000004);
        frame.planes[0].modifier = UINT64_C(0x0200000018601b03);
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EOPNOTSUPP);
        assert_non_null(strstr(problem.text, "XR24 with AMD_FMT_MOD(GFX10_RBPLUS, 64K_R_X)"));
        frame = honest;
        frame.planes[0].format = DRM_FORMAT_YUV420;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EOPNOTSUPP);
        assert_non_null(strstr(problem.text, "YU12"));
        frame = honest;
        frame.planes[0].rotation = 3;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EBADMSG);
        frame = honest;
        frame.planes[0].format = DRM_FORMAT_NV12; /* in one part */
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EBADMSG);
}

static void test_clipped(void **state) {
        struct wire_frame frame = honest;
        FrameProblem problem;
        (void) state;

        frame.planes[0].crtc_x = -30;
        frame.planes[0].crtc_y = 15;
        assert_return_code(try_map(&frame, NEEDED, SEALED, &problem), 0);
        frame.planes[0].crtc_x = INT32_MIN;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EBADMSG);
        frame.planes[0].crtc_x = INT32_MAX;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EBADMSG);
}

/* An overlay of NV12 over the honest plane, and a cursor, in the same memory. */
static struct wire_frame several(void) {
        struct wire_frame frame = honest;

        frame.n_planes = 3;
        frame.planes[1] = frame.planes[2] = frame.planes[0];
        frame.planes[1].type = 0;
        frame.planes[1].format = DRM_FORMAT_NV12;
        frame.planes[1].n_memory = 2;
        frame.planes[1].pitches[1] = PITCH;
        frame.planes[1].offsets[1] = PITCH * 10;
        frame.planes[1].alpha = 0x8000;
        frame.planes[1].rotation = 1 << 1;
        frame.planes[1].crtc_w = HEIGHT + 3;
        frame.planes[1].crtc_h = WIDTH - 3;
        frame.planes[2].type = 2;
        return frame;
}

static void test_cache(void **state) {
        MapCache cache = {};
        const MappedMemory *memory, *first;
        int fds[2 * MAP_CACHE_SIZE];
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = memory_new(16, 0);
        assert_return_code(map_cache_get(&cache, fds[0], true, &first), 0);
        for (size_t i = 1; i < MAP_CACHE_SIZE; i++)
                assert_return_code(map_cache_get(&cache, fds[i], true, &memory), 0);
        assert_int_equal(map_cache_get(&cache, fds[MAP_CACHE_SIZE], true, &memory), -ENOBUFS);
        assert_return_code(map_cache_get(&cache, fds[0], true, &memory), 0);
        assert_ptr_equal(memory, first);
        map_cache_release(&cache);

        /* What was used longest ago makes room. */
        uint64_t mapped = cache.n_mapped;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                assert_return_code(map_cache_get(&cache, fds[i], true, &memory), 0);
                assert_memory_equal(memory->memory, first->memory, 16);
                map_cache_release(&cache);
        }
        assert_true(cache.n_mapped >= mapped + MAP_CACHE_SIZE);
        for (size_t i = 0; i < MAP_CACHE_SIZE; i++)
                cache.entries[i].used -= MAP_CACHE_AGE + 1;
        map_cache_release(&cache);
        for (size_t i = 0; i < MAP_CACHE_SIZE; i++)
                assert_null(cache.entries[i].memory);

        /* Not to be kept: mapped each time. */
        mapped = cache.n_mapped;
        for (unsigned i = 0; i < 3; i++) {
                assert_return_code(map_cache_get(&cache, fds[0], false, &memory), 0);
                map_cache_release(&cache);
        }
        assert_int_equal(cache.n_mapped, mapped + 3);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

/* Every 32-bit number of the message and every value at an edge: never a crash, never a read outside. */
static void test_every_number(void **state) {
        static const uint32_t values[] = { 0,
                                           1,
                                           2,
                                           3,
                                           4,
                                           7,
                                           WIDTH - 1,
                                           WIDTH + 1,
                                           PITCH + 4,
                                           0x7fffffff,
                                           0x80000000,
                                           0xfffffffc,
                                           0xffffffff,
                                           0x10000,
                                           0x00460000,
                                           0x3fffffff,
                                           0xfffffff0,
                                           65536 * 70,
                                           4096,
                                           0x01000000,
                                           DRM_FORMAT_RGB565,
                                           DRM_FORMAT_YUYV,
                                           DRM_FORMAT_P010 };
        _cleanup_close_ int fd = memory_new(NEEDED, SEALED);
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        const size_t n = offsetof(struct wire_frame, planes[3]) / sizeof(uint32_t);
        unsigned refused = 0;
        (void) state;

        assert_return_code(frame_reader_new(&reader), 0);
        for (size_t field = 0; field < n; field++)
                for (size_t v = 0; v < ELEMENTSOF(values); v++) {
                        struct wire_frame frame = several();
                        FrameProblem problem;

                        memcpy((uint8_t *) &frame + field * sizeof(uint32_t), &values[v], sizeof(uint32_t));
                        if (frame.n_fds != 1 || !segment_size_ok(frame.width, frame.height) ||
                            (uint64_t) frame.width * frame.height > 1000000)
                                continue; /* the caller's checks */
                        refused += read_frame(reader, &frame, fd, &problem) < 0;
                }
        assert_true(refused > 400);
}

static void add_up(void *userdata) {
        const GuardedMemory *memory = userdata;
        const volatile uint8_t *bytes = memory->start;
        uint32_t sum = 0;

        for (size_t i = 0; i < memory->size; i += 64)
                sum += bytes[i];
        assert_int_equal(sum, 0);
}

/* The memory ends under the reader's hands, as that of an unplugged card does. */
static void test_memory_that_goes_away(void **state) {
        const size_t size = 4 << 20;
        _cleanup_close_ int fd = memfd_create("frame", MFD_CLOEXEC);
        GuardedMemory guarded;
        const MappedMemory *memory;
        MapCache cache = {};
        (void) state;

        assert_return_code(memory_guard_init(), 0);
        assert_return_code(ftruncate(fd, (off_t) size), 0);
        assert_return_code(map_cache_get(&cache, fd, true, &memory), 0);
        guarded = (GuardedMemory){ memory->memory, memory->size };
        assert_int_equal(memory_guarded(&guarded, 1, add_up, &guarded), 0);
        assert_return_code(ftruncate(fd, (off_t) size / 2), 0);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(memory_guarded(&guarded, 1, add_up, &guarded), -EFAULT);
        assert_return_code(ftruncate(fd, (off_t) size), 0);
        assert_int_equal(memory_guarded(&guarded, 1, add_up, &guarded), 0);
        map_cache_clear(&cache);
}

/* A dma-buf is a memfd here whose SYNC is ours: there is no card to make one. */
static struct {
        bool pretend;
        unsigned starts, ends, interrupted; /* interrupted: so many calls are */
        int fail_at;                        /* the START that fails, from 1 */
        int shrink_fd;                      /* loses its memory at a START; -1: none */
} sync_calls = { .shrink_fd = -1 };

int ioctl(int fd, unsigned long request, ...) {
        const struct dma_buf_sync *sync;
        va_list arguments;

        (void) fd;
        va_start(arguments, request);
        sync = va_arg(arguments, const struct dma_buf_sync *);
        va_end(arguments);
        if (!sync_calls.pretend || request != DMA_BUF_IOCTL_SYNC) {
                errno = ENOTTY;
                return -1;
        }
        assert_int_equal(sync->flags & DMA_BUF_SYNC_RW, DMA_BUF_SYNC_READ);
        if (sync_calls.interrupted > 0) {
                errno = sync_calls.interrupted-- % 2 ? EINTR : EAGAIN;
                return -1;
        }
        if (sync->flags & DMA_BUF_SYNC_END) {
                sync_calls.ends++;
                return 0;
        }
        if ((int) sync_calls.starts + 1 == sync_calls.fail_at) {
                errno = EIO;
                return -1;
        }
        sync_calls.starts++;
        if (sync_calls.shrink_fd >= 0)
                assert_return_code(ftruncate(sync_calls.shrink_fd, 0), 0);
        return 0;
}

static void count(const PicturePlane *plane, void *userdata) {
        (void) plane;
        *(unsigned *) userdata += sync_calls.starts == 2 && sync_calls.ends == 0;
}

static void ask_streamed(const PicturePlane *plane, void *userdata) {
        *(bool *) userdata = plane->write_combined;
}

/* A graphics card's memory may be uncached, a copy of capd's is not. */
static void test_graphics_memory_is_streamed(void **state) {
        int fds[] = { memory_new(NEEDED, 0), memory_new(NEEDED, SEALED) };
        static const uint32_t kinds[] = { WIRE_MEMORY_DMABUF, WIRE_MEMORY_MEMFD };
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        struct wire_frame frame = honest;
        FrameProblem problem;
        (void) state;

        assert_return_code(frame_reader_new(&reader), 0);
        sync_calls.pretend = true;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                bool streamed = i;

                frame.memory = kinds[i];
                assert_return_code(frame_open(reader, &frame, &fds[i], &problem), 0);
                assert_return_code(frame_read(reader, ask_streamed, &streamed, &problem), 0);
                assert_int_equal(streamed, kinds[i] == WIRE_MEMORY_DMABUF);
                frame_close(reader);
                close(fds[i]);
        }
        sync_calls.starts = sync_calls.ends = 0;
        sync_calls.pretend = false;
}

/* START before, END after, for each dma-buf once, whatever happens. */
static void test_reading_is_bracketed(void **state) {
        int fds[] = { memory_new(NEEDED, 0), memory_new(NEEDED, 0), memory_new(NEEDED, 0) };
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        struct wire_frame frame = several();
        FrameProblem problem;
        unsigned read = 0;
        (void) state;

        frame.memory = WIRE_MEMORY_DMABUF;
        frame.n_fds = 3; /* the last is nobody's */
        frame.planes[1].fds[0] = frame.planes[1].fds[1] = 1;
        sync_calls.pretend = true;
        sync_calls.interrupted = 5;
        assert_return_code(frame_reader_new(&reader), 0);
        assert_return_code(frame_open(reader, &frame, fds, &problem), 0);
        assert_return_code(frame_read(reader, count, &read, &problem), 0);
        assert_int_equal(read, 1);
        assert_int_equal(sync_calls.starts, 2);
        assert_int_equal(sync_calls.ends, 2);
        assert_int_equal(sync_calls.interrupted, 0);
        frame_close(reader);

        sync_calls.starts = sync_calls.ends = 0;
        sync_calls.fail_at = 2;
        assert_return_code(frame_open(reader, &frame, fds, &problem), 0);
        assert_int_equal(frame_read(reader, count, &read, &problem), -EIO);
        assert_int_equal(read, 1);
        assert_int_equal(sync_calls.starts, 1);
        assert_int_equal(sync_calls.ends, 1);
        frame_close(reader);
        sync_calls.fail_at = 0;
        sync_calls.pretend = false;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

/* Holds nothing that would leak when it is left. */
static void read_bare(const PicturePlane *plane, void *userdata) {
        uint32_t rows[SEGMENT_TILE_HEIGHT * WIDTH];

        (void) userdata;
        if (plane->compose)
                plane->compose(plane->composition, 0, SEGMENT_TILE_HEIGHT, rows, WIDTH);
        else
                pixel_loops()->copy(rows, (const void *) plane->pixels, WIDTH);
}

static int read_evicted(FrameReader *reader, const struct wire_frame *frame, int fd, FrameProblem *problem) {
        assert_return_code(frame_open(reader, frame, &fd, problem), 0);
        return frame_read(reader, read_bare, NULL, problem);
}

/* An evicted buffer: an error, its reading ended, and good again when it is back. */
static void test_buffer_that_goes_away(void **state) {
        _cleanup_close_ int fd = memory_new(NEEDED, 0);
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        struct wire_frame frame = several();
        FrameProblem problem;
        (void) state;

        frame.memory = WIRE_MEMORY_DMABUF;
        assert_return_code(frame_reader_new(&reader), 0);
        sync_calls.pretend = true;
        for (unsigned round = 1; round < 4; round++) {
                /* Composed, and copied. */
                frame.n_planes = round % 2 ? 3 : 1;
                sync_calls.starts = sync_calls.ends = 0;
                assert_return_code(read_frame(reader, &frame, fd, &problem), 0);
                assert_int_equal(frame_reader_mapped(reader), round);
                sync_calls.shrink_fd = fd;
                assert_int_equal(read_evicted(reader, &frame, fd, &problem), -EFAULT);
                assert_non_null(strstr(problem.text, "went away"));
                sync_calls.shrink_fd = -1;
                assert_int_equal(sync_calls.starts, 2);
                assert_int_equal(sync_calls.ends, 2);
                assert_return_code(ftruncate(fd, NEEDED), 0);
        }
        sync_calls.pretend = false;
}

/* Allocations of the program's own code: the linker has put these in their place. */
static unsigned n_allocated;

#define COUNTED(name, parameters, ...)                                                                      \
        void *__real_##name parameters;                                                                     \
        void *__wrap_##name parameters;                                                                     \
        void *__wrap_##name parameters {                                                                    \
                n_allocated++;                                                                              \
                return __real_##name(__VA_ARGS__);                                                          \
        }

COUNTED(malloc, (size_t size), size)
COUNTED(calloc, (size_t n, size_t size), n, size)
COUNTED(realloc, (void *memory, size_t size), memory, size)
COUNTED(aligned_alloc, (size_t alignment, size_t size), alignment, size)

static void test_nothing_is_allocated_for_a_frame(void **state) {
        int fds[] = { memory_new(NEEDED, 0), memory_new(NEEDED, 0) };
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        struct wire_frame frame = several();
        FrameProblem problem;
        (void) state;

        frame.memory = WIRE_MEMORY_DMABUF;
        sync_calls.pretend = true;
        n_allocated = 0;
        assert_return_code(frame_reader_new(&reader), 0);
        for (unsigned i = 0; i < 100; i++) {
                assert_return_code(frame_open(reader, &frame, &fds[i % 2], &problem), 0);
                assert_return_code(frame_read(reader, read_bare, NULL, &problem), 0);
                frame_close(reader);
                if (i == 0) {
                        assert_true(n_allocated > 0);
                        n_allocated = 0;
                }
        }
        assert_int_equal(n_allocated, 0);
        assert_int_equal(frame_reader_mapped(reader), 2);
        sync_calls.pretend = false;
        close(fds[0]);
        close(fds[1]);
}

static void test_cursor(void **state) {
        _cleanup_close_ int fd = memory_new(NEEDED, SEALED);
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        struct wire_frame frame = several();
        FrameProblem problem;
        const Cursor *cursor;
        uint8_t seen = 0;
        (void) state;

        frame.planes[1] = frame.planes[2];
        frame.n_planes = 2;
        frame.planes[1].crtc_x = -3;
        frame.planes[1].hotspot_y = 7;
        assert_return_code(frame_reader_new(&reader), 0);
        assert_return_code(frame_open(reader, &frame, &fd, &problem), 0);
        assert_return_code(frame_read(reader, look, &seen, &problem), 0); /* the rest is only copied */
        cursor = frame_cursor(reader);
        assert_true(cursor->visible);
        assert_int_equal(cursor->x, -3);
        assert_int_equal(cursor->hot_y, 7);
        assert_int_equal(cursor->width, WIDTH);
        /* No alpha: opaque. The second row's second pixel. */
        assert_int_equal(cursor->pixels[cursor->pitch + 4], seen);
        assert_int_equal(cursor->pixels[cursor->pitch + 7], 255);
        frame_close(reader);
        assert_false(frame_cursor(reader)->visible);

        /* Too large for a layer, or below another plane: of the picture. */
        frame.planes[1].crtc_w = SEGMENT_CURSOR_SIDE + 1;
        assert_return_code(read_frame(reader, &frame, fd, &problem), 0);
        assert_return_code(frame_open(reader, &frame, &fd, &problem), 0);
        assert_false(frame_cursor(reader)->visible);
        frame = several();
        frame.planes[1].type = 2;
        frame.planes[2].type = 0;
        assert_return_code(frame_open(reader, &frame, &fd, &problem), 0);
        assert_false(frame_cursor(reader)->visible);
        /* One that cannot be read hides nothing else. */
        frame = several();
        frame.planes[2].modifier = I915_FORMAT_MOD_Yf_TILED;
        assert_return_code(frame_open(reader, &frame, &fd, &problem), 0);
        assert_false(frame_cursor(reader)->visible);
        assert_non_null(strstr(problem.text, "I915_FORMAT_MOD_Yf_TILED"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_honest),
                cmocka_unit_test(test_memory_that_can_shrink),
                cmocka_unit_test(test_too_little_memory),
                cmocka_unit_test(test_no_dmabuf),
                cmocka_unit_test(test_undecodable_is_named),
                cmocka_unit_test(test_clipped),
                cmocka_unit_test(test_cache),
                cmocka_unit_test(test_every_number),
                cmocka_unit_test(test_memory_that_goes_away),
                cmocka_unit_test(test_graphics_memory_is_streamed),
                cmocka_unit_test(test_reading_is_bracketed),
                cmocka_unit_test(test_buffer_that_goes_away),
                cmocka_unit_test(test_nothing_is_allocated_for_a_frame),
                cmocka_unit_test(test_cursor),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
