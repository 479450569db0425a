/* SPDX-License-Identifier: Apache-2.0 */

/* What it costs to make a 1920 × 1080 picture of planes of each kind, as a multiple of comparing a plain one
 * in place, and in milliseconds of this thread. Prints one line of JSON for each:
 *
 *   compose [ROUNDS] */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <drm_fourcc.h>
#include <drm_mode.h>

#include "cleanup.h"
#include "frame-plane.h"

#define WIDTH  1920U
#define HEIGHT 1080U
#define MEMORY (WIDTH * 4 * (HEIGHT + 32))

typedef struct Case {
        const char *name;
        uint32_t format;
        uint64_t modifier;
        uint32_t rotation, blend;
        uint32_t src_w, src_h, crtc_w, crtc_h; /* 0: all */
        bool overlay;                          /* above a plain plane */
        uint32_t eotf;
} Case;

static const Case cases[] = {
        { .name = "plain", .format = DRM_FORMAT_XRGB8888 },
        { .name = "red first", .format = DRM_FORMAT_XBGR8888 },
        { .name = "X-tiled", .format = DRM_FORMAT_XRGB8888, .modifier = I915_FORMAT_MOD_X_TILED },
        { .name = "Y-tiled", .format = DRM_FORMAT_XRGB8888, .modifier = I915_FORMAT_MOD_Y_TILED },
        { .name = "4-tiled", .format = DRM_FORMAT_XRGB8888, .modifier = I915_FORMAT_MOD_4_TILED },
        { .name = "RGB565", .format = DRM_FORMAT_RGB565 },
        { .name = "10 bits", .format = DRM_FORMAT_XRGB2101010 },
        { .name = "10 bits, PQ", .format = DRM_FORMAT_XRGB2101010, .eotf = 2 },
        { .name = "NV12", .format = DRM_FORMAT_NV12 },
        { .name = "NV12 of a quarter, above",
          .format = DRM_FORMAT_NV12,
          .crtc_w = 960,
          .crtc_h = 540,
          .src_w = 960,
          .src_h = 540,
          .overlay = true },
        { .name = "blended quarter, above",
          .format = DRM_FORMAT_ARGB8888,
          .blend = WIRE_BLEND_PREMULTIPLIED,
          .crtc_w = 960,
          .crtc_h = 540,
          .src_w = 960,
          .src_h = 540,
          .overlay = true },
        { .name = "turned by 180°", .format = DRM_FORMAT_XRGB8888, .rotation = DRM_MODE_ROTATE_180 },
        { .name = "turned by 90°", .format = DRM_FORMAT_XRGB8888, .rotation = DRM_MODE_ROTATE_90 },
        { .name = "scaled up", .format = DRM_FORMAT_XRGB8888, .src_w = 1280, .src_h = 720 },
};

static uint8_t *memory;

static ComposePlane make_plane(const Case *c, const ToneMap *tones) {
        const PixelFormat *format = pixel_format_find(c->format);
        bool transposed = c->rotation == DRM_MODE_ROTATE_90;
        uint32_t width = transposed ? HEIGHT : WIDTH, height = transposed ? WIDTH : HEIGHT;
        const struct wire_frame frame = {
                .width = WIDTH, .height = HEIGHT, .memory = WIRE_MEMORY_MEMFD, .n_fds = 1
        };
        const struct wire_plane plane = {
                .format = c->format,
                .n_memory = format->n_memory,
                .modifier = c->modifier,
                .width = width,
                .height = height,
                .pitches = { transposed ? HEIGHT * 4 : WIDTH * 4, WIDTH * 4 },
                .src_w = (c->src_w ?: width) << 16,
                .src_h = (c->src_h ?: height) << 16,
                .crtc_w = c->crtc_w ?: WIDTH,
                .crtc_h = c->crtc_h ?: HEIGHT,
                .crtc_x = c->overlay ? 100 : 0,
                .crtc_y = c->overlay ? 100 : 0,
                .rotation = c->rotation,
                .blend_mode = c->blend,
                .alpha = 0xffff,
                .color_encoding = WIRE_COLOR_BT709,
        };
        const MappedMemory mapped = { .memory = memory, .size = MEMORY };
        const MappedMemory *memories[] = { &mapped };
        FrameProblem problem = {};
        ComposePlane made;

        if (frame_plane_memories(&frame, &plane, &problem) < 0 ||
            frame_plane_check(&frame, &plane, memories, tones, &made, &problem) <= 0) {
                fprintf(stderr, "%s: %s\n", c->name, problem.text);
                exit(EXIT_FAILURE);
        }
        return made;
}

static double measure(const Case *c, unsigned rounds, Picture *now, const Picture *before, uint8_t *changed,
                      uint32_t *staging) {
        static Composition composition = { .width = WIDTH, .height = HEIGHT };
        static ToneMap tones;
        static RowHashKey key; /* no chance of being found out here */
        PicturePlane plane = { .compose = compose_rows, .composition = &composition };
        struct timespec start, end;

        if (c->eotf)
                tone_map_init(&tones, &(struct wire_hdr){ .eotf = c->eotf, .colorspace = 9 });
        composition.n_planes = 0;
        if (c->overlay)
                composition.planes[composition.n_planes++] = make_plane(&cases[0], NULL);
        composition.planes[composition.n_planes++] = make_plane(c, c->eotf ? &tones : NULL);
        if (!compose_is_copy(&composition, &plane) && compose_prepare(&composition) < 0)
                exit(EXIT_FAILURE);
        for (unsigned i = 0; i <= rounds; i++) {
                if (i == 1)
                        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
                memset(changed, 0, (size_t) now->tiles_across * now->tiles_down);
                (void) picture_update(now, before, &key, &plane, changed, changed, staging);
        }
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        return ((double) (end.tv_sec - start.tv_sec) * 1e3 + (double) (end.tv_nsec - start.tv_nsec) / 1e6) /
               rounds;
}

int main(int argc, char *argv[]) {
        unsigned rounds = argc > 1 ? (unsigned) atoi(argv[1]) : 20;
        Picture now, before;
        double plain = 0;

        memory = aligned_alloc(4096, (MEMORY + 4095) / 4096 * 4096);
        if (!memory || rounds < 1 || picture_init(&now, WIDTH, HEIGHT) < 0 ||
            picture_init(&before, WIDTH, HEIGHT) < 0)
                return EXIT_FAILURE;
        for (size_t i = 0; i < MEMORY; i++)
                memory[i] = (uint8_t) (rand() >> 7); /* nothing is plain: the worst case */
        uint8_t *changed = calloc(now.tiles_across, now.tiles_down);
        uint32_t *staging = calloc(now.stride * SEGMENT_TILE_HEIGHT, sizeof(uint32_t));
        if (!changed || !staging)
                return EXIT_FAILURE;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                double ms = measure(&cases[i], rounds, &now, &before, changed, staging);
                plain = i == 0 ? ms : plain;
                printf("{\"planes\": \"%s\", \"ms\": %.2f, \"times_plain\": %.1f}\n", cases[i].name, ms,
                       ms / plain);
        }
        return EXIT_SUCCESS;
}
