/* SPDX-License-Identifier: Apache-2.0 */
#include "segment-cursor.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "cleanup.h"

void segment_cursors_done(SegmentCursors *cursors) {
        for (size_t i = 0; i < SEGMENT_CURSORS_MAX; i++)
                free(cursors->images[i].pixels);
        free(cursors->beneath);
        *cursors = (SegmentCursors){};
}

int segment_cursors_add(SegmentCursors *cursors, const SegmentCursorImage *image) {
        uLongf size = (uLongf) image->width * image->height * 4, wanted = size;
        uLong taken = image->size;
        _cleanup_free_ uint8_t *pixels = malloc(size);

        if (!pixels)
                return -ENOMEM;
        int r = uncompress2(pixels, &size, image->data, &taken);
        if (r == Z_MEM_ERROR)
                return -ENOMEM;
        if (r != Z_OK || size != wanted || taken != image->size)
                return -EBADMSG;
        free(cursors->images[image->id].pixels);
        cursors->images[image->id].width = image->width;
        cursors->images[image->id].height = image->height;
        cursors->images[image->id].pixels = TAKE_PTR(pixels);
        return 0;
}

/* Of size pixels from position at, what is inside limit: the first of them, and how many. */
static uint32_t clip(int32_t at, uint32_t size, uint32_t limit, uint32_t *ret_skip) {
        int64_t from = at > 0 ? at : 0, end = (int64_t) at + size;

        if (end > limit)
                end = limit;
        *ret_skip = (uint32_t) (from - at);
        return end > from ? (uint32_t) (end - from) : 0;
}

/* Porter and Duff's "over", rounded as docs/segment-format.md says. */
static void blend(uint8_t *to, const uint8_t *from) {
        for (size_t i = 0; i < 3; i++) {
                unsigned sum = from[i] + (to[i] * (255U - from[3]) + 127) / 255;
                to[i] = (uint8_t) (sum < 255 ? sum : 255);
        }
}

static void copy_beneath(const SegmentCursors *cursors, SegmentCanvas *canvas, bool back) {
        for (uint32_t row = 0; row < cursors->height; row++) {
                uint8_t *shown = canvas->pixels + (cursors->y + row) * canvas->stride +
                                 (size_t) cursors->x * 4;
                uint8_t *kept = cursors->beneath + (size_t) row * SEGMENT_CURSOR_SIDE * 4;
                memcpy(back ? shown : kept, back ? kept : shown, (size_t) cursors->width * 4);
        }
}

int segment_cursors_show(SegmentCursors *cursors, const SegmentCursor *cursor, SegmentCanvas *canvas) {
        uint32_t left, top;

        if (!cursor->visible)
                return 0;
        if (!cursors->beneath &&
            !(cursors->beneath = malloc((size_t) SEGMENT_CURSOR_SIDE * SEGMENT_CURSOR_SIDE * 4)))
                return -ENOMEM;
        const uint8_t *pixels = cursors->images[cursor->image].pixels;
        if (!pixels)
                return -EBADMSG;
        uint32_t image_width = cursors->images[cursor->image].width;
        uint32_t width = clip(cursor->x, image_width, canvas->width, &left);
        uint32_t height = clip(cursor->y, cursors->images[cursor->image].height, canvas->height, &top);
        if (width == 0 || height == 0)
                return 0;
        cursors->x = (uint32_t) (cursor->x + (int32_t) left);
        cursors->y = (uint32_t) (cursor->y + (int32_t) top);
        cursors->width = width;
        cursors->height = height;
        copy_beneath(cursors, canvas, false);
        for (uint32_t row = 0; row < height; row++)
                for (uint32_t column = 0; column < width; column++)
                        blend(canvas->pixels + (cursors->y + row) * canvas->stride +
                                              (size_t) (cursors->x + column) * 4,
                              pixels + ((size_t) (top + row) * image_width + left + column) * 4);
        return 0;
}

void segment_cursors_hide(SegmentCursors *cursors, SegmentCanvas *canvas) {
        copy_beneath(cursors, canvas, true);
        cursors->width = cursors->height = 0;
}
