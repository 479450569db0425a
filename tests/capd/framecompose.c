/* SPDX-License-Identifier: Apache-2.0 */

/* uploadd's reading of a frame without the rest of uploadd: asks capd for one and writes what is made of its
 * planes, as 0x00RRGGBB, and behind it the pointer's layer, as 0xAARRGGBB premultiplied.
 *
 *   framecompose SOCKET OUTPUT FILE
 *
 * prints "picture width=… height=… pointer=X,Y,WIDTH,HEIGHT", of size 0 if there is none. */

#include <string.h>

#include "capd-client.h"
#include "frame-reader.h"

static void draw(const PicturePlane *plane, void *userdata) {
        Picture *picture = userdata;
        uint32_t n = picture->tiles_across * picture->tiles_down;
        _cleanup_free_ uint8_t *changed = calloc(1, n);
        _cleanup_free_ uint32_t *staging = calloc(SEGMENT_TILE_HEIGHT * picture->stride, sizeof(*staging));
        RowHashKey key;

        if (!changed || !staging || row_hash_key_init(&key) < 0)
                client_fail("make a picture");
        picture_update(picture, picture, &key, plane, NULL, changed, staging);
}

static void write_rows(FILE *to, const uint32_t *pixels, size_t stride, uint32_t width, uint32_t height) {
        for (uint32_t y = 0; y < height; y++)
                if (fwrite(pixels + y * stride, sizeof(*pixels), width, to) != width)
                        client_fail("write");
}

int main(int argc, char *argv[]) {
        _cleanup_(frame_reader_freep) FrameReader *reader = NULL;
        _cleanup_(picture_done) Picture picture = {};
        FrameProblem problem = {};
        static Answer answer;

        if (argc != 4) {
                fputs("usage: framecompose SOCKET OUTPUT FILE\n", stderr);
                return 2;
        }
        _cleanup_close_ int fd = client_connect(argv[1]);
        client_hello(fd);
        client_next(fd, (uint32_t) strtoul(argv[2], NULL, 10), &answer);
        if (answer.type != WIRE_FRAME_FRAME) {
                printf("none reason=%u\n", answer.none.reason);
                return 0;
        }
        if (frame_reader_new(&reader) < 0 ||
            picture_init(&picture, answer.frame.width, answer.frame.height) < 0)
                client_fail("no memory");
        if (frame_open(reader, &answer.frame, answer.fds, &problem) < 0 ||
            frame_read(reader, draw, &picture, &problem) < 0) {
                printf("problem %s\n", problem.text);
                return 0;
        }
        const Cursor *cursor = frame_cursor(reader);
        uint32_t width = cursor->visible ? cursor->width : 0, height = cursor->visible ? cursor->height : 0;

        _cleanup_fclose_ FILE *to = fopen(argv[3], "we");
        if (!to)
                client_fail("open");
        write_rows(to, picture.pixels, picture.stride, picture.width, picture.height);
        write_rows(to, (const uint32_t *) (const void *) cursor->pixels, cursor->pitch / sizeof(uint32_t),
                   width, height);
        printf("picture width=%u height=%u pointer=%d,%d,%u,%u\n", picture.width, picture.height, cursor->x,
               cursor->y, width, height);
        return 0;
}
