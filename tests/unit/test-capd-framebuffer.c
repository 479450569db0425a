/* SPDX-License-Identifier: Apache-2.0 */

/* GEM handles and descriptors are balanced, whatever the driver does. The kernel's side is a table here,
 * since no real driver refuses on request: tests/capd runs the same code on real ones. */

#include "unit.h"

#include <drm_fourcc.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <sys/eventfd.h>

#include "plane/copy.h"

#define CARD    1234
#define OBJECTS 24
#define HANDLES 64

static struct {
        int memory[OBJECTS];        /* one memfd for each object, made when first exported */
        uint32_t object[HANDLES];   /* of each open handle, plus 1 */
        struct drm_mode_fb_cmd2 fb; /* what GETFB2 tells; handles[] are objects plus 1 */
        unsigned exports, export_fails_at;
        int getfb_error, export_error, bad_closes;
        int card; /* whose memory MAP_DUMB tells the place of */
        bool unmappable;
} gpu;

static uint32_t mint(uint32_t object) {
        for (uint32_t handle = 1; handle < HANDLES; handle++)
                if (gpu.object[handle] == 0) {
                        gpu.object[handle] = object;
                        return handle;
                }
        abort();
}

static int fake_getfb2(struct drm_mode_fb_cmd2 *fb) {
        uint32_t fb_id = fb->fb_id;

        if (gpu.getfb_error != 0) {
                errno = gpu.getfb_error;
                return -1;
        }
        *fb = gpu.fb;
        fb->fb_id = fb_id;
        for (int i = 0; i < 4; i++) {
                fb->handles[i] = 0;
                for (int k = 0; k < i; k++)
                        if (gpu.fb.handles[k] == gpu.fb.handles[i])
                                fb->handles[i] = fb->handles[k];
                if (fb->handles[i] == 0 && gpu.fb.handles[i] != 0)
                        fb->handles[i] = mint(gpu.fb.handles[i]);
        }
        return 0;
}

static int fake_export(struct drm_prime_handle *prime) {
        assert_true(prime->handle > 0 && prime->handle < HANDLES);
        assert_int_not_equal(gpu.object[prime->handle], 0);
        assert_int_equal(prime->flags, DRM_CLOEXEC);
        if (++gpu.exports == gpu.export_fails_at) {
                errno = gpu.export_error;
                return -1;
        }
        if (gpu.unmappable) {
                prime->fd = eventfd(0, EFD_CLOEXEC);
                return 0;
        }
        int *memory = &gpu.memory[gpu.object[prime->handle] - 1];
        if (*memory < 0)
                *memory = memfd_create("object", MFD_CLOEXEC);
        prime->fd = fcntl(*memory, F_DUPFD_CLOEXEC, 0);
        return 0;
}

static int fake_close(const struct drm_gem_close *gem) {
        if (gem->handle == 0 || gem->handle >= HANDLES || gpu.object[gem->handle] == 0) {
                gpu.bad_closes++;
                return 0; /* the test tells */
        }
        gpu.object[gem->handle] = 0;
        return 0;
}

static int fake_map_dumb(struct drm_mode_map_dumb *map) {
        assert_int_not_equal(gpu.object[map->handle], 0);
        if (gpu.export_error != 0) {
                errno = gpu.export_error;
                return -1;
        }
        map->offset = 4096;
        return 0;
}

int drmIoctl(int fd, unsigned long request, void *argument) {
        assert_int_equal(fd, gpu.card);
        switch (request) {
        case DRM_IOCTL_MODE_GETFB2:
                return fake_getfb2(argument);
        case DRM_IOCTL_PRIME_HANDLE_TO_FD:
                return fake_export(argument);
        case DRM_IOCTL_MODE_MAP_DUMB:
                return fake_map_dumb(argument);
        case DRM_IOCTL_GEM_CLOSE:
                return fake_close(argument);
        default:
                fail_msg("ioctl %#lx", request);
                return -1;
        }
}

static unsigned open_handles(void) {
        unsigned n = 0;

        for (uint32_t handle = 0; handle < HANDLES; handle++)
                n += gpu.object[handle] != 0;
        return n;
}

static unsigned open_descriptors(void) {
        unsigned n = 0;

        for (int fd = 0; fd < 200; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static int setup(void **state _unused_) {
        memset(&gpu, 0, sizeof(gpu));
        gpu.card = CARD;
        for (int i = 0; i < OBJECTS; i++)
                gpu.memory[i] = -1;
        gpu.fb = (struct drm_mode_fb_cmd2){
                .width = 640,
                .height = 480,
                .pixel_format = DRM_FORMAT_XRGB8888,
                .handles = { 1 },
                .pitches = { 2560 },
                .modifier = { 99 },
        };
        return 0;
}

static int teardown(void **state _unused_) {
        for (int i = 0; i < OBJECTS; i++)
                safe_close(gpu.memory[i]);
        return 0;
}

static void assert_balanced(void) {
        assert_int_equal(open_handles(), 0);
        assert_int_equal(gpu.bad_closes, 0);
}

static int export(FrameMemory *dmabufs, struct wire_plane *plane) {
        _cleanup_(framebuffer_release) Framebuffer framebuffer = {};

        assert_int_equal(framebuffer_get(CARD, 7, &framebuffer), 0);
        return framebuffer_export(&framebuffer, dmabufs, plane);
}

static void test_one_memory_plane(void **state _unused_) {
        struct wire_plane plane = {};
        FrameMemory dmabufs = {};

        assert_int_equal(export(&dmabufs, &plane), 0);
        assert_balanced();
        assert_int_equal(dmabufs.n, 1);
        assert_int_equal(plane.n_memory, 1);
        assert_int_equal(plane.format, DRM_FORMAT_XRGB8888);
        assert_int_equal(plane.width, 640);
        assert_int_equal(plane.height, 480);
        assert_int_equal(plane.pitches[0], 2560);
        assert_true(plane.modifier == DRM_FORMAT_MOD_INVALID); /* the flag says that 99 means nothing */
        assert_int_equal(fcntl(dmabufs.fds[0], F_GETFD), FD_CLOEXEC);
        frame_memory_close(&dmabufs);
        assert_int_equal(dmabufs.n, 0);
}

static void test_modifier_with_its_flag(void **state _unused_) {
        struct wire_plane plane = {};
        FrameMemory dmabufs = {};

        gpu.fb.flags = DRM_MODE_FB_MODIFIERS;
        assert_int_equal(export(&dmabufs, &plane), 0);
        assert_true(plane.modifier == 99);
        frame_memory_close(&dmabufs);
}

/* All ways in which four memory planes can be of up to four objects. */
static void test_each_handle_is_closed_once(void **state _unused_) {
        for (unsigned shape = 0; shape < 625; shape++) {
                unsigned before = open_descriptors(), distinct = 0, n = 0;
                uint32_t objects[4] = { shape % 5, shape / 5 % 5, shape / 25 % 5, shape / 125 };
                struct wire_plane plane = {};
                FrameMemory dmabufs = {};

                if (objects[0] == 0)
                        continue;
                while (n < 4 && objects[n] != 0)
                        n++;
                for (unsigned i = 0; i < n; i++) {
                        bool seen = false;
                        for (unsigned k = 0; k < i; k++)
                                seen = seen || objects[k] == objects[i];
                        distinct += !seen;
                }
                setup(NULL);
                memcpy(gpu.fb.handles, objects, sizeof(objects));
                gpu.fb.offsets[1] = 4096;

                assert_int_equal(export(&dmabufs, &plane), 0);
                assert_balanced();
                assert_int_equal(plane.n_memory, n);
                assert_int_equal(dmabufs.n, distinct);
                for (unsigned i = 0; i < n; i++)
                        for (unsigned k = 0; k < n; k++)
                                assert_int_equal(plane.fds[i] == plane.fds[k], objects[i] == objects[k]);
                frame_memory_close(&dmabufs);
                teardown(NULL);
                assert_int_equal(open_descriptors(), before);
        }
}

static void test_planes_of_one_object_share_a_descriptor(void **state _unused_) {
        struct wire_plane first = {}, second = {}, third = {};
        FrameMemory dmabufs = {};

        assert_int_equal(export(&dmabufs, &first), 0);
        gpu.fb.handles[0] = 2;
        assert_int_equal(export(&dmabufs, &second), 0);
        gpu.fb.handles[0] = 1;
        assert_int_equal(export(&dmabufs, &third), 0);
        assert_balanced();
        assert_int_equal(dmabufs.n, 2);
        assert_int_equal(first.fds[0], third.fds[0]);
        assert_int_not_equal(first.fds[0], second.fds[0]);
        frame_memory_close(&dmabufs);
}

static void test_export_refused_at_each_memory_plane(void **state _unused_) {
        static const struct {
                int error, result;
        } cases[] = { { ENOSYS, -EOPNOTSUPP }, { EINVAL, -EOPNOTSUPP }, { EPERM, -EOPNOTSUPP },
                      { ENODEV, -EOPNOTSUPP }, { EMFILE, -EMFILE },     { ENOMEM, -ENOMEM } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (unsigned at = 1; at <= 4; at++) {
                        unsigned before = open_descriptors();
                        struct wire_plane plane = {};
                        FrameMemory dmabufs = {};

                        setup(NULL);
                        memcpy(gpu.fb.handles, (uint32_t[]){ 1, 2, 3, 4 }, sizeof(gpu.fb.handles));
                        gpu.export_fails_at = at;
                        gpu.export_error = cases[i].error;
                        assert_int_equal(export(&dmabufs, &plane), cases[i].result);
                        assert_balanced();
                        assert_int_equal(dmabufs.n, at - 1);
                        frame_memory_close(&dmabufs);
                        teardown(NULL);
                        assert_int_equal(open_descriptors(), before);
                }
}

/* As of qxl and nvidia-drm: the caller is to try the copy, so it must not be given a useless descriptor. */
static void test_exported_but_not_to_be_mapped(void **state _unused_) {
        unsigned before = open_descriptors();
        struct wire_plane plane = {};
        FrameMemory dmabufs = {};

        gpu.unmappable = true;
        assert_int_equal(export(&dmabufs, &plane), -EOPNOTSUPP);
        assert_balanced();
        assert_int_equal(dmabufs.n, 0);
        assert_int_equal(open_descriptors(), before);
}

/* A card whose memory is a file: its first page is nothing, from the second on byte i is i / 7. */
static int card_new(size_t size) {
        _cleanup_free_ uint8_t *bytes = calloc(1, size);
        int fd = memfd_create("card", MFD_CLOEXEC);

        for (size_t i = 4096; i < size; i++)
                bytes[i] = (uint8_t) ((i - 4096) / 7);
        assert_int_equal(write(fd, bytes, size), size);
        return fd;
}

static int copy(FrameMemory *memory, struct wire_plane *plane) {
        _cleanup_(framebuffer_release) Framebuffer framebuffer = {};

        assert_int_equal(framebuffer_get(gpu.card, 7, &framebuffer), 0);
        return framebuffer_copy(&framebuffer, memory, plane);
}

static void test_copy_is_sealed_and_the_same(void **state _unused_) {
        const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        const size_t size = 2560 * 480 + 128;
        _cleanup_close_ int card = card_new(4096 + size + 4096);
        _cleanup_free_ uint8_t *bytes = malloc(size);
        struct wire_plane plane = {};
        FrameMemory memory = {};

        gpu.card = card;
        gpu.fb.offsets[0] = 128;
        assert_int_equal(copy(&memory, &plane), 0);
        assert_balanced();
        assert_int_equal(memory.n, 1);
        assert_int_equal(plane.fds[0], 0);
        assert_int_equal(plane.n_memory, 1);
        assert_int_equal(plane.offsets[0], 128);
        assert_int_equal(plane.pitches[0], 2560);
        assert_int_equal(fcntl(memory.fds[0], F_GET_SEALS) & seals, seals);
        assert_int_equal(pread(memory.fds[0], bytes, size, 0), size);
        for (size_t i = 0; i < size; i++)
                assert_int_equal(bytes[i], (uint8_t) (i / 7));
        frame_memory_close(&memory);
}

/* The card's memory is gone from the 100th page on: a program that read it would die by SIGBUS. */
static void test_copy_of_memory_that_goes_away(void **state _unused_) {
        _cleanup_close_ int card = card_new(100 * 4096);
        unsigned before = open_descriptors();
        struct wire_plane plane = {};
        FrameMemory memory = {};

        gpu.card = card;
        assert_int_equal(copy(&memory, &plane), -EOPNOTSUPP);
        assert_balanced();
        assert_int_equal(memory.n, 0);
        assert_int_equal(open_descriptors(), before);
}

static void test_copy_refused(void **state _unused_) {
        _cleanup_close_ int card = card_new(8192);
        unsigned before = open_descriptors();
        static const struct drm_mode_fb_cmd2 cases[] = {
                { .height = 480, .handles = { 1, 1 }, .pitches = { 2560, 2560 } },
                { .height = 0, .handles = { 1 }, .pitches = { 2560 } },
                { .height = 480, .handles = { 1 }, .pitches = { 0 } },
                { .height = UINT32_MAX, .handles = { 1 }, .pitches = { UINT32_MAX } },
                { .height = 65537, .handles = { 1 }, .pitches = { 4096 } },
                { .height = 65536, .handles = { 1 }, .pitches = { 4096 }, .offsets = { UINT32_MAX } },
        };

        gpu.card = card;
        /* There is memory enough: what is refused is not for want of it. */
        assert_int_equal(ftruncate(card, (off_t) COPY_SIZE_MAX * 2), 0);
        for (size_t i = 0; i <= ELEMENTSOF(cases); i++) {
                struct wire_plane plane = {};
                FrameMemory memory = {};

                if (i < ELEMENTSOF(cases))
                        gpu.fb = cases[i];
                else {
                        setup(NULL);
                        gpu.card = card;
                        gpu.export_error = EINVAL; /* MAP_DUMB's */
                }
                assert_int_equal(copy(&memory, &plane), -EOPNOTSUPP);
                assert_balanced();
                assert_int_equal(memory.n, 0);
        }
        assert_int_equal(open_descriptors(), before);
}

static void test_more_memory_than_a_frame_can_carry(void **state _unused_) {
        unsigned before = open_descriptors();
        FrameMemory dmabufs = {};
        int r = 0;

        for (uint32_t object = 1; object <= 20 && r == 0; object += 4) {
                struct wire_plane plane = {};
                memcpy(gpu.fb.handles, (uint32_t[]){ object, object + 1, object + 2, object + 3 },
                       sizeof(gpu.fb.handles));
                r = export(&dmabufs, &plane);
                assert_balanced();
        }
        assert_int_equal(r, -ENOBUFS);
        assert_int_equal(dmabufs.n, WIRE_FRAME_FDS_MAX);
        frame_memory_close(&dmabufs);
        teardown(NULL);
        for (int i = 0; i < OBJECTS; i++)
                gpu.memory[i] = -1;
        assert_int_equal(open_descriptors(), before);
}

static void test_without_privilege(void **state _unused_) {
        Framebuffer framebuffer = {};

        gpu.fb.handles[0] = 0;
        assert_int_equal(framebuffer_get(CARD, 7, &framebuffer), -EPERM);
        assert_balanced();
}

static void test_framebuffer_is_gone(void **state _unused_) {
        Framebuffer framebuffer = {};

        gpu.getfb_error = ENOENT;
        assert_int_equal(framebuffer_get(CARD, 7, &framebuffer), -ENOENT);
        gpu.getfb_error = ENODEV;
        assert_int_equal(framebuffer_get(CARD, 7, &framebuffer), -EOPNOTSUPP);
        framebuffer_release(&framebuffer);
        assert_balanced();
}

static void test_releasing_twice_closes_once(void **state _unused_) {
        Framebuffer framebuffer = {};

        assert_int_equal(framebuffer_get(CARD, 7, &framebuffer), 0);
        assert_int_equal(open_handles(), 1);
        framebuffer_release(&framebuffer);
        framebuffer_release(&framebuffer);
        assert_balanced();
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_one_memory_plane),
                TEST(test_modifier_with_its_flag),
                TEST(test_each_handle_is_closed_once),
                TEST(test_planes_of_one_object_share_a_descriptor),
                TEST(test_export_refused_at_each_memory_plane),
                TEST(test_exported_but_not_to_be_mapped),
                TEST(test_copy_is_sealed_and_the_same),
                TEST(test_copy_of_memory_that_goes_away),
                TEST(test_copy_refused),
                TEST(test_more_memory_than_a_frame_can_carry),
                TEST(test_without_privilege),
                TEST(test_framebuffer_is_gone),
                TEST(test_releasing_twice_closes_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
