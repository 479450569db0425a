/* SPDX-License-Identifier: Apache-2.0 */

/* Any planes that capd might describe: what is accepted must be readable without leaving the memory behind
 * it, whole, and the same when read again. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drm_fourcc.h>

#include "frame-plane.h"
#include "fuzz.h"

#define MEMORIES    3U
#define OUTPUT_SIDE 60U /* at most: for speed */

static MappedMemory memories[MEMORIES];

/* To the byte, so that AddressSanitizer sees what is read behind them. */
static void make_memories(void) {
        static const size_t sizes[MEMORIES] = { 40961, 65536, 1 << 20 };

        if (memories[0].memory)
                return;
        for (unsigned i = 0; i < MEMORIES; i++) {
                uint8_t *memory = malloc(sizes[i]);
                if (!memory)
                        abort();
                for (size_t at = 0; at < sizes[i]; at++)
                        memory[at] = (uint8_t) (at * 31 + at / 255);
                memories[i] = (MappedMemory){ .memory = memory, .size = sizes[i] };
        }
}

typedef struct Input {
        const uint8_t *data;
        size_t size;
} Input;

static uint32_t take(Input *input, uint32_t bytes) {
        uint32_t value = 0;

        for (; bytes > 0 && input->size > 0; bytes--, input->size--)
                value = value << 8 | *input->data++;
        return value;
}

/* A plane that is all right, of one of the formats and tilings. */
static struct wire_plane honest(Input *input) {
        static const uint32_t formats[] = { DRM_FORMAT_XRGB8888,    DRM_FORMAT_ABGR8888, DRM_FORMAT_RGB565,
                                            DRM_FORMAT_ARGB2101010, DRM_FORMAT_NV12,     DRM_FORMAT_P010,
                                            DRM_FORMAT_YUYV };
        static const uint64_t modifiers[] = { DRM_FORMAT_MOD_LINEAR, I915_FORMAT_MOD_X_TILED,
                                              I915_FORMAT_MOD_Y_TILED, I915_FORMAT_MOD_4_TILED };
        uint32_t width = 1 + take(input, 1) % 100, height = 1 + take(input, 1) % 40, kind = take(input, 2);
        const PixelFormat *format = pixel_format_find(formats[kind % ELEMENTSOF(formats)]);
        struct wire_plane plane = {
                .format = format->format,
                .n_memory = format->n_memory,
                .modifier = modifiers[kind >> 8 & 3],
                .width = width,
                .height = height,
                .pitches = { 1024, 1024 },
                .fds = { 2, 2 },
                .offsets = { 0, 1024 * 128 },
                .src_w = width << 16,
                .src_h = height << 16,
                .crtc_w = width,
                .crtc_h = height,
                .alpha = kind & 0x80 ? 0xffff : kind,
                .rotation = 1U << (kind >> 10 & 3) | (kind >> 12 & 3) << 4,
                .blend_mode = (kind >> 14) % 3,
        };
        return plane;
}

/* Sets some of its numbers to anything. */
static void disturb(struct wire_plane *plane, Input *input) {
        for (uint32_t n = take(input, 1) % 8; n > 0; n--) {
                uint32_t field = take(input, 1) % (sizeof(*plane) / sizeof(uint32_t));
                uint32_t how = take(input, 1), value = take(input, how % 4 + 1) << how / 4 % 3 * 8, old;
                uint8_t *at = (uint8_t *) plane + field * sizeof(uint32_t);

                memcpy(&old, at, sizeof(old));
                value = how & 0x80 ? old + value : how & 0x40 ? old - value : value;
                memcpy(at, &value, sizeof(value));
        }
}

static void check(bool good, const char *what) {
        if (!good) {
                fprintf(stderr, "%s\n", what);
                abort();
        }
}

static void read_all(Composition *composition, uint32_t *pixels) {
        uint32_t width = composition->width, height = composition->height;

        for (uint32_t y = 0; y < height; y += SEGMENT_TILE_HEIGHT)
                compose_rows(composition, y,
                             height - y < SEGMENT_TILE_HEIGHT ? height - y : SEGMENT_TILE_HEIGHT,
                             pixels + (size_t) y * width, width);
        for (size_t i = 0; i < (size_t) width * height; i++)
                pixels[i] &= 0xffffff;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static uint32_t one[OUTPUT_SIDE * OUTPUT_SIDE], other[OUTPUT_SIDE * OUTPUT_SIDE];
        static Composition composition;
        static ToneMap all_tones[2];
        const MappedMemory *const all[] = { &memories[0], &memories[1], &memories[2] };
        Input input = { data, size };
        struct wire_frame frame = { .n_fds = MEMORIES };
        FrameProblem problem = {};

        make_memories();
        frame.width = composition.width = 1 + take(&input, 1) % OUTPUT_SIDE;
        frame.height = composition.height = 1 + take(&input, 1) % OUTPUT_SIDE;
        uint32_t kind = take(&input, 1);
        frame.memory = kind & 1 ? WIRE_MEMORY_DMABUF : WIRE_MEMORY_MEMFD;
        ToneMap *tones = kind & 2 ? &all_tones[kind >> 2 & 1] : NULL;
        if (tones && tones->hdr.eotf == 0)
                tone_map_init(tones, &(struct wire_hdr){ .eotf = 2 + (kind >> 2 & 1), .colorspace = 9 });

        composition.n_planes = 0;
        for (unsigned i = 0; i < 3 && input.size > 0; i++) {
                struct wire_plane plane = honest(&input);
                ComposePlane *composed = &composition.planes[composition.n_planes];

                disturb(&plane, &input);
                int r = frame_plane_memories(&frame, &plane, &problem);
                if (r >= 0)
                        r = frame_plane_check(&frame, &plane, all, tones, composed, &problem);
                check(r >= 0 || problem.text[0], "a plane is refused without a word");
                composition.n_planes += r > 0;
        }
        int r = compose_prepare(&composition);
        check(r >= 0 || r == -EOPNOTSUPP, "no room");
        if (r < 0)
                return 0;
        memset(one, 0x11, sizeof(one));
        memset(other, 0xee, sizeof(other));
        read_all(&composition, one);
        if (composition.pixels)
                memset(composition.pixels, 0x55, composition.pixels_size * sizeof(*composition.pixels));
        read_all(&composition, other);
        check(memcmp(one, other, (size_t) frame.width * frame.height * sizeof(*one)) == 0,
              "what is shown depends on what was shown before");
        return 0;
}
