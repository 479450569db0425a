/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm_fourcc.h>

#include "cleanup.h"
#include "draw.h"
#include "frame-map.h"

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

static int try_map(const struct wire_frame *frame, size_t size, int seals, FrameProblem *problem) {
        _cleanup_close_ int fd = memory_new(size, seals);
        FrameMap map = {};

        int r = frame_map(&map, frame, &fd, problem);
        if (r >= 0) {
                /* Reading all of it must not leave the memory: the page behind the last is not mapped. */
                const uint8_t *first = map.plane.pixels;
                const uint8_t *last = first + (map.plane.height - 1) * map.plane.pitch + map.plane.width * 4;
                assert_true(first >= (const uint8_t *) map.memory);
                assert_true(last <= (const uint8_t *) map.memory + map.size);
                assert_true(map.size <= size);
                assert_true(map.plane.x + map.plane.width <= frame->width);
                assert_true(map.plane.y + map.plane.height <= frame->height);
                Picture picture;
                assert_return_code(picture_init(&picture, frame->width, frame->height), 0);
                draw(&picture, &map.plane);
                picture_done(&picture);
                frame_unmap(&map);
        } else
                assert_true(problem->text[0] != '\0');
        return r;
}

#define SEALED (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)
#define NEEDED (PITCH * (HEIGHT - 1) + WIDTH * 4)

static void test_honest(void **state) {
        _cleanup_close_ int fd = memory_new(NEEDED, SEALED);
        FrameProblem problem;
        FrameMap map;
        (void) state;

        assert_return_code(frame_map(&map, &honest, &fd, &problem), 0);
        assert_int_equal(map.plane.pixels[PITCH + 4], (uint8_t) ((PITCH + 4) * 37 + (PITCH + 4) / 256));
        assert_return_code(frame_begin(&map), 0);
        assert_return_code(frame_end(&map), 0);
        frame_unmap(&map);
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
        struct wire_frame frame = honest;
        FrameProblem problem;
        FrameMap map;
        (void) state;

        frame.memory = WIRE_MEMORY_DMABUF;
        assert_return_code(frame_map(&map, &frame, &fd, &problem), 0);
        assert_int_equal(frame_begin(&map), -ENOTTY);
        frame_unmap(&map);
}

static void test_undecodable_is_named(void **state) {
        struct wire_frame frame = honest;
        FrameProblem problem;
        (void) state;

        frame.planes[0].modifier = 0x0100000000000002;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EOPNOTSUPP);
        assert_non_null(strstr(problem.text, "XR24 with modifier 0x100000000000002"));
        assert_int_equal(problem.format, DRM_FORMAT_XRGB8888);
        assert_int_equal(problem.modifier, 0x0100000000000002);
        frame = honest;
        frame.planes[0].format = DRM_FORMAT_NV12;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EOPNOTSUPP);
        assert_non_null(strstr(problem.text, "NV12"));
        frame = honest;
        frame.planes[0].rotation = 1 << 1;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EOPNOTSUPP);
        frame = honest;
        frame.planes[0].crtc_w *= 2;
        assert_int_equal(try_map(&frame, NEEDED, SEALED, &problem), -EOPNOTSUPP);
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

/* Every 32-bit number of the message and every value at an edge: never a crash, never a read outside. */
static void test_every_number(void **state) {
        static const uint32_t values[] = { 0,          1,          2,          3,         4,
                                           7,          WIDTH - 1,  WIDTH + 1,  PITCH + 4, 0x7fffffff,
                                           0x80000000, 0xfffffffc, 0xffffffff, 0x10000,   0x00460000,
                                           0x3fffffff, 0xfffffff0, 65536 * 70 };
        _cleanup_close_ int fd = memory_new(NEEDED, SEALED);
        const size_t n = offsetof(struct wire_frame, planes[1]) / sizeof(uint32_t);
        unsigned refused = 0;
        (void) state;

        for (size_t field = 0; field < n; field++)
                for (size_t v = 0; v < ELEMENTSOF(values); v++) {
                        struct wire_frame frame = honest;
                        FrameProblem problem;
                        FrameMap map;

                        memcpy((uint8_t *) &frame + field * sizeof(uint32_t), &values[v], sizeof(uint32_t));
                        if (frame.n_fds != 1 || !segment_size_ok(frame.width, frame.height) ||
                            (uint64_t) frame.width * frame.height > 1000000)
                                continue; /* the caller's checks */
                        if (frame_map(&map, &frame, &fd, &problem) < 0) {
                                refused++;
                                continue;
                        }
                        Picture picture;
                        assert_return_code(picture_init(&picture, frame.width, frame.height), 0);
                        draw(&picture, &map.plane);
                        picture_done(&picture);
                        frame_unmap(&map);
                }
        assert_true(refused > 100);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_honest),
                cmocka_unit_test(test_memory_that_can_shrink),
                cmocka_unit_test(test_too_little_memory),
                cmocka_unit_test(test_no_dmabuf),
                cmocka_unit_test(test_undecodable_is_named),
                cmocka_unit_test(test_clipped),
                cmocka_unit_test(test_every_number),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
