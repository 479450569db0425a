/* SPDX-License-Identifier: Apache-2.0 */
#include "cursor-layer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <zlib.h>

_Static_assert(SEGMENT_CURSORS_MAX >= SEGMENT_OUTPUT_MAX,
               "there is always an id that no other output shows");

#define SECRET_SIZE 192U /* as tile-hash.h, and why there: tile-dictionary.h */

/* What tells images apart. */
typedef struct ImageKey {
        uint64_t low, high;
        uint32_t width, height;
        int32_t hot_x, hot_y;
} ImageKey;

typedef struct CursorOutput {
        bool visible;
        int32_t x, y;
        ImageKey key;
        uint8_t *pixels; /* of it, without padding; NULL: none yet */

        SegmentCursor written;
} CursorOutput;

struct CursorLayer {
        uint8_t secret[SECRET_SIZE];
        ImageKey images[SEGMENT_CURSORS_MAX]; /* of the segment, by id */
        uint32_t n_images;                    /* of them that are in it */
        uint32_t next;                        /* the id to be given next */
        Buffer compressed;
        uint8_t copy[SEGMENT_CURSOR_SIDE * SEGMENT_CURSOR_SIDE * 4];
        CursorOutput outputs[SEGMENT_OUTPUT_MAX];
};

int cursor_layer_new(CursorLayer **ret) {
        CursorLayer *layer = calloc(1, sizeof(*layer));

        if (!layer)
                return -ENOMEM;
        layer->compressed.max = SEGMENT_SIZE_MAX;
        /* At most 256 bytes come whole or not at all, getrandom(2). */
        if (getrandom(layer->secret, sizeof(layer->secret), 0) != sizeof(layer->secret)) {
                free(layer);
                return -errno;
        }
        *ret = layer;
        return 0;
}

CursorLayer *cursor_layer_free(CursorLayer *layer) {
        if (!layer)
                return NULL;
        for (size_t i = 0; i < SEGMENT_OUTPUT_MAX; i++)
                free(layer->outputs[i].pixels);
        buffer_done(&layer->compressed);
        free(layer);
        return NULL;
}

void cursor_layer_restart(CursorLayer *layer) {
        layer->n_images = layer->next = 0;
        for (uint32_t i = 0; i < SEGMENT_OUTPUT_MAX; i++)
                cursor_layer_restart_output(layer, i);
}

void cursor_layer_restart_output(CursorLayer *layer, uint32_t output) {
        layer->outputs[output].written = (SegmentCursor){ .output = output };
}

static bool outside(int32_t at, uint32_t size, uint32_t limit) {
        return at != (int16_t) at || at >= (int64_t) limit || at + (int64_t) size <= 0;
}

static bool shown(const Cursor *cursor, uint32_t width, uint32_t height) {
        return cursor->visible && cursor->width >= 1 && cursor->width <= SEGMENT_CURSOR_SIDE &&
               cursor->height >= 1 && cursor->height <= SEGMENT_CURSOR_SIDE &&
               !outside(cursor->x, cursor->width, width) && !outside(cursor->y, cursor->height, height);
}

static int32_t within_int16(int32_t value) {
        return value < INT16_MIN ? INT16_MIN : value > INT16_MAX ? INT16_MAX : value;
}

int cursor_layer_set(CursorLayer *layer, uint32_t output, uint32_t width, uint32_t height,
                     const Cursor *cursor) {
        CursorOutput *o = &layer->outputs[output];
        bool was_visible = o->visible, changed;

        o->visible = shown(cursor, width, height);
        changed = o->visible != was_visible;
        if (!o->visible)
                return changed;
        /* One private copy, as of the picture: the plane's memory is live. */
        size_t row = (size_t) cursor->width * 4, size = row * cursor->height;
        for (uint32_t y = 0; y < cursor->height; y++)
                memcpy(layer->copy + y * row, cursor->pixels + y * cursor->pitch, row);
        XXH128_hash_t hash = XXH3_128bits_withSecret(layer->copy, size, layer->secret, SECRET_SIZE);
        ImageKey key = { hash.low64,
                         hash.high64,
                         cursor->width,
                         cursor->height,
                         within_int16(cursor->hot_x),
                         within_int16(cursor->hot_y) };

        if (!o->pixels || memcmp(&o->key, &key, sizeof(key)) != 0) {
                uint8_t *pixels = malloc(size);
                if (!pixels) {
                        o->visible = false;
                        return -ENOMEM;
                }
                memcpy(pixels, layer->copy, size);
                free(o->pixels);
                o->pixels = pixels;
                o->key = key;
                changed = true;
        }
        changed = changed || o->x != cursor->x || o->y != cursor->y;
        o->x = cursor->x;
        o->y = cursor->y;
        return changed;
}

static bool id_shown(const CursorLayer *layer, uint32_t id, uint32_t but) {
        for (uint32_t i = 0; i < SEGMENT_OUTPUT_MAX; i++)
                if (i != but && layer->outputs[i].written.visible && layer->outputs[i].written.image == id)
                        return true;
        return false;
}

/* An id for another image of an output: the oldest that no other output shows. There are as many ids as
 * outputs. */
static uint32_t next_id(const CursorLayer *layer, uint32_t output) {
        uint32_t id = layer->next;

        while (id_shown(layer, id, output))
                id = (id + 1) % SEGMENT_CURSORS_MAX;
        return id;
}

static int hide(CursorOutput *o, SegmentWriter *writer, uint32_t output, uint64_t time) {
        const SegmentCursor hidden = { .output = output, .time = time };
        int r;

        if (!o->written.visible)
                return 0;
        r = segment_writer_cursor(writer, &hidden);
        if (r >= 0)
                o->written = hidden;
        return r < 0 ? r : 1;
}

static int write_image(CursorLayer *layer, SegmentWriter *writer, uint32_t output, uint64_t time,
                       uint32_t *ret_id) {
        CursorOutput *o = &layer->outputs[output];
        size_t size = (size_t) o->key.width * o->key.height * 4;
        uint32_t id = next_id(layer, output);
        int r;

        layer->compressed.size = 0;
        r = buffer_reserve(&layer->compressed, compressBound(size));
        if (r < 0)
                return r;
        uLongf compressed = layer->compressed.capacity;
        if (compress2(layer->compressed.data, &compressed, o->pixels, size, Z_DEFAULT_COMPRESSION) != Z_OK)
                return -ENOMEM;
        /* An image that is shown is not replaced. */
        r = o->written.visible && o->written.image == id ? hide(o, writer, output, time) : 0;
        if (r < 0)
                return r;
        r = segment_writer_cursor_image(writer, &(SegmentCursorImage){
                                                                .id = id,
                                                                .width = o->key.width,
                                                                .height = o->key.height,
                                                                .hot_x = o->key.hot_x,
                                                                .hot_y = o->key.hot_y,
                                                                .data = layer->compressed.data,
                                                                .size = compressed,
                                                });
        if (r < 0)
                return r;
        layer->images[id] = o->key;
        if (layer->n_images <= id)
                layer->n_images = id + 1;
        layer->next = (id + 1) % SEGMENT_CURSORS_MAX;
        *ret_id = id;
        return 0;
}

int cursor_layer_write(CursorLayer *layer, SegmentWriter *writer, uint32_t output, uint64_t time) {
        CursorOutput *o = &layer->outputs[output];
        SegmentCursor cursor = { output, true, time, o->x, o->y, 0 };
        int r;

        if (!o->visible)
                return hide(o, writer, output, time);
        while (cursor.image < layer->n_images &&
               memcmp(&layer->images[cursor.image], &o->key, sizeof(o->key)) != 0)
                cursor.image++;
        if (cursor.image == layer->n_images) {
                r = write_image(layer, writer, output, time, &cursor.image);
                if (r < 0)
                        return r;
        } else if (o->written.visible && o->written.image == cursor.image && o->written.x == cursor.x &&
                   o->written.y == cursor.y)
                return 0;
        r = segment_writer_cursor(writer, &cursor);
        if (r < 0)
                return r;
        o->written = cursor;
        return 1;
}
