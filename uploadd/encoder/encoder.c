/* SPDX-License-Identifier: Apache-2.0 */
#include "encoder.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "motion.h"
#include "refine.h"
#include "segment-writer.h"
#include "tile-dictionary.h"
#include "tile-jpeg.h"

/* Bytes of all outputs' pictures, which are two of each: of three with 7680 × 4320. The service has room for
 * 1 GiB (MemoryMax= of its unit). */
#define PICTURES_MAX (UINT64_C(768) << 20)

#define COARSE_DIVISOR 3U  /* of the quality */
#define UNKNOWN_MAX    8U  /* tiles among those changed; with fewer, nothing can only have moved */
#define MANY_MIN       64U /* tiles of a frame that may be a film's, or a window's; … */
#define VAIN_MAX       3U  /* … after as many frames of which next to none was known, … */
#define PROBE_STEP     16U /* … one of so many tiles is looked up first */

typedef struct EncoderOutput {
        Picture now, before;
        bool has_before;
        uint32_t n_changed; /* tiles, of changed */
        uint8_t *changed;   /* a byte a tile: now differs from before */
        uint8_t *left;      /* likewise, to be sent as tiles */
        uint32_t *staging;  /* for picture_update() */
        Motion *motion;
        Refine *refine;
        TileDictionary *dictionary;
        uint32_t n_kept; /* tiles of the dictionary whose frames were written */
        bool cleared;    /* the dictionary, for a keyframe that was not kept yet */
        uint32_t vain;   /* frames with many tiles since some of them were known */
        uint64_t draw_time;
} EncoderOutput;

struct Encoder {
        RowHashKey key;
        TileJpeg *jpeg, *coarse_jpeg;
        bool coarse; /* what changes fast is to be */
        Buffer operations;
        SegmentRun *runs, *coarse_runs; /* these with room for the tiles of the largest output so far */
        SegmentRefRun *refs;
        uint32_t runs_capacity;
        SegmentMove moves[SEGMENT_MOVES_MAX];
        EncoderOutput outputs[SEGMENT_OUTPUT_MAX];
};

int encoder_new(Encoder **ret, unsigned quality) {
        _cleanup_(encoder_freep) Encoder *encoder = calloc(1, sizeof(*encoder));
        int r;

        if (!encoder)
                return -ENOMEM;
        encoder->operations.max = SEGMENT_SIZE_MAX;
        r = row_hash_key_init(&encoder->key);
        if (r >= 0)
                r = tile_jpeg_new(&encoder->jpeg, quality);
        if (r >= 0)
                r = tile_jpeg_new(&encoder->coarse_jpeg, (quality + COARSE_DIVISOR - 1) / COARSE_DIVISOR);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(encoder);
        return 0;
}

Encoder *encoder_free(Encoder *encoder) {
        if (!encoder)
                return NULL;
        for (uint32_t i = 0; i < SEGMENT_OUTPUT_MAX; i++)
                encoder_forget(encoder, i);
        tile_jpeg_free(encoder->jpeg);
        tile_jpeg_free(encoder->coarse_jpeg);
        buffer_done(&encoder->operations);
        free(encoder->runs);
        free(encoder->coarse_runs);
        free(encoder->refs);
        free(encoder);
        return NULL;
}

SegmentTables encoder_tables(const Encoder *encoder) {
        return tile_jpeg_tables(encoder->jpeg);
}

SegmentTables encoder_coarse_tables(const Encoder *encoder) {
        return tile_jpeg_tables(encoder->coarse_jpeg);
}

void encoder_set_coarse(Encoder *encoder, bool coarse) {
        encoder->coarse = coarse;
}

void encoder_forget(Encoder *encoder, uint32_t output) {
        EncoderOutput *o = &encoder->outputs[output];

        picture_done(&o->now);
        picture_done(&o->before);
        free(o->changed);
        free(o->left);
        free(o->staging);
        motion_free(o->motion);
        refine_free(o->refine);
        tile_dictionary_free(o->dictionary);
        *o = (EncoderOutput){};
}

static int grow_runs(Encoder *encoder, uint32_t n) {
        if (n <= encoder->runs_capacity)
                return 0;
        SegmentRun *runs = reallocarray(encoder->runs, n, sizeof(*runs));
        if (!runs)
                return -ENOMEM;
        encoder->runs = runs;
        runs = reallocarray(encoder->coarse_runs, n, sizeof(*runs));
        if (!runs)
                return -ENOMEM;
        encoder->coarse_runs = runs;
        SegmentRefRun *refs = reallocarray(encoder->refs, n, sizeof(*refs));
        if (!refs)
                return -ENOMEM;
        encoder->refs = refs;
        encoder->runs_capacity = n;
        return 0;
}

static int output_init(EncoderOutput *o, uint32_t width, uint32_t height) {
        int r;

        r = picture_init(&o->now, width, height);
        if (r >= 0)
                r = picture_init(&o->before, width, height);
        if (r >= 0)
                r = motion_new(&o->motion, width, height);
        if (r >= 0)
                r = refine_new(&o->refine, width, height);
        if (r >= 0)
                r = tile_dictionary_new(&o->dictionary);
        if (r < 0)
                return r;
        size_t n_tiles = (size_t) o->now.tiles_across * o->now.tiles_down;
        o->changed = calloc(n_tiles, 1);
        o->left = calloc(n_tiles, 1);
        o->staging = calloc(o->now.stride * SEGMENT_TILE_HEIGHT, sizeof(uint32_t));
        return o->changed && o->left && o->staging ? 0 : -ENOMEM;
}

static bool has_room(const Encoder *encoder, uint32_t width, uint32_t height) {
        uint64_t size = picture_size(width, height);

        for (uint32_t i = 0; i < SEGMENT_OUTPUT_MAX; i++)
                size += picture_size(encoder->outputs[i].now.width, encoder->outputs[i].now.height);
        return 2 * size <= PICTURES_MAX;
}

int encoder_prepare(Encoder *encoder, uint32_t output, uint32_t width, uint32_t height) {
        int r;

        if (output >= SEGMENT_OUTPUT_MAX || !segment_size_ok(width, height))
                return -EINVAL;
        EncoderOutput *o = &encoder->outputs[output];
        if (o->now.pixels && o->now.width == width && o->now.height == height)
                return 0;
        encoder_forget(encoder, output);
        if (!has_room(encoder, width, height))
                return -ENOBUFS;
        r = output_init(o, width, height);
        if (r >= 0)
                r = grow_runs(encoder, o->now.tiles_across * o->now.tiles_down);
        if (r < 0)
                encoder_forget(encoder, output);
        return r;
}

static uint64_t thread_time(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

bool encoder_draw(Encoder *encoder, uint32_t output, const PicturePlane *plane) {
        EncoderOutput *o = &encoder->outputs[output];
        uint64_t start = thread_time();

        o->n_changed = picture_update(&o->now, &o->before, &encoder->key, plane,
                                      o->has_before ? o->changed : NULL, o->changed, o->staging);
        o->draw_time = thread_time() - start;
        return o->n_changed > 0;
}

/* How many of the runs make up one batch of at most SEGMENT_TILES_MAX tiles. The last of them is cut in two
 * if it must be: *ret_cut is what is left of it, or of no tiles. */
static uint32_t take_batch(SegmentRun *runs, uint32_t n_runs, SegmentRun *ret_cut, uint32_t *ret_tiles) {
        uint32_t n = 0, n_tiles = 0;

        while (n < n_runs && n_tiles + runs[n].count <= SEGMENT_TILES_MAX)
                n_tiles += runs[n++].count;
        *ret_cut = (SegmentRun){};
        if (n < n_runs && n_tiles < SEGMENT_TILES_MAX) {
                uint32_t part = SEGMENT_TILES_MAX - n_tiles;
                *ret_cut = (SegmentRun){ runs[n].first + part, runs[n].count - part };
                runs[n++].count = part;
                n_tiles = SEGMENT_TILES_MAX;
        }
        *ret_tiles = n_tiles;
        return n;
}

static int encode_runs(Encoder *encoder, const Picture *picture, enum segment_operation kind,
                       SegmentRun *runs, uint32_t n_runs, EncodedFrame *frame) {
        TileJpeg *jpeg = kind == SEGMENT_OPERATION_NEW ? encoder->jpeg : encoder->coarse_jpeg;
        SegmentRun cut;
        const uint8_t *data;
        uint32_t n_tiles;
        size_t size;
        int r;

        while (n_runs > 0) {
                uint32_t n = take_batch(runs, n_runs, &cut, &n_tiles);
                r = tile_jpeg_encode(jpeg, picture, runs, n, n_tiles, &data, &size);
                if (r < 0)
                        return r;
                r = segment_operation_tiles(&encoder->operations, kind, runs, n, data, size);
                if (r < 0)
                        return r;
                frame->n_operations++;
                runs += n;
                n_runs -= n;
                if (cut.count > 0) {
                        *--runs = cut;
                        n_runs++;
                }
        }
        return 0;
}

static uint32_t add_run(SegmentRun *runs, uint32_t n, uint32_t tile) {
        if (n > 0 && runs[n - 1].first + runs[n - 1].count == tile) {
                runs[n - 1].count++;
                return n;
        }
        runs[n] = (SegmentRun){ tile, 1 };
        return n + 1;
}

/* A run is of numbers that ascend with the tiles, or of one number; with its second tile it becomes either.
 */
static uint32_t add_ref(SegmentRefRun *refs, uint32_t n, uint32_t tile, uint32_t number) {
        SegmentRefRun *last = n > 0 ? &refs[n - 1] : NULL;

        if (last && last->first + last->count == tile) {
                bool same = number == last->number, next = number == last->number + last->count;
                if (last->count == 1)
                        last->same = same;
                if (last->same ? same : next) {
                        last->count++;
                        return n;
                }
        }
        refs[n] = (SegmentRefRun){ tile, 1, number, false };
        return n + 1;
}

typedef struct Sorted {
        uint32_t n_runs, n_coarse_runs, n_refs;
} Sorted;

static bool look_up_tile(EncoderOutput *o, uint32_t tile, bool coarse, uint32_t *ret_number) {
        TileHash hash = tile_dictionary_hash(o->dictionary, &o->now, tile);
        return coarse ? tile_dictionary_find(o->dictionary, hash, ret_number)
                      : tile_dictionary_add(o->dictionary, hash, ret_number);
}

static void sort_tile(Encoder *encoder, EncoderOutput *o, uint32_t tile, bool look_up, EncodedFrame *frame,
                      Sorted *sorted) {
        bool coarse = encoder->coarse && o->changed[tile] && refine_fast(o->refine, tile);
        uint32_t number;

        if (!look_up && !coarse)
                tile_dictionary_skip(o->dictionary);
        if (look_up && look_up_tile(o, tile, coarse, &number)) {
                sorted->n_refs = add_ref(encoder->refs, sorted->n_refs, tile, number);
                frame->n_ref++;
                coarse = false;
        } else if (coarse) {
                sorted->n_coarse_runs = add_run(encoder->coarse_runs, sorted->n_coarse_runs, tile);
                frame->n_coarse++;
        } else {
                sorted->n_runs = add_run(encoder->runs, sorted->n_runs, tile);
                frame->n_new++;
        }
        refine_sent(o->refine, tile, coarse);
}

/* Whether any of a few of the tiles that are left is known. */
static bool probe(const EncoderOutput *o) {
        uint32_t n_tiles = o->now.tiles_across * o->now.tiles_down, n = 0, number;

        for (uint32_t tile = 0; tile < n_tiles; tile++)
                if (o->left[tile] && n++ % PROBE_STEP == 0 &&
                    tile_dictionary_find(o->dictionary, tile_dictionary_hash(o->dictionary, &o->now, tile),
                                         &number))
                        return true;
        return false;
}

/* Parts the tiles that are left into those sent before and those to send, in full or coarsely. */
static Sorted sort_tiles(Encoder *encoder, EncoderOutput *o, EncodedFrame *frame) {
        uint32_t n_tiles = o->now.tiles_across * o->now.tiles_down, n_left = 0;
        Sorted sorted = {};

        for (uint32_t tile = 0; tile < n_tiles; tile++)
                n_left += o->left[tile];
        tile_dictionary_begin(o->dictionary, n_left);
        /* A film never shows what it has shown: hashing that costs a fifth of compressing it. */
        bool look_up = n_left < MANY_MIN || o->vain < VAIN_MAX || probe(o);
        for (uint32_t tile = 0; tile < n_tiles; tile++)
                if (o->left[tile])
                        sort_tile(encoder, o, tile, look_up, frame, &sorted);
        if (n_left >= MANY_MIN)
                o->vain = frame->n_ref * PROBE_STEP > n_left ? 0 : o->vain + 1;
        return sorted;
}

/* Whether nearly all that has changed was there before, as when a window comes back: no move says it
 * shorter. */
static bool is_known(const EncoderOutput *o) {
        uint32_t n_tiles = o->now.tiles_across * o->now.tiles_down, n_unknown = 0, number;

        for (uint32_t tile = 0; tile < n_tiles && n_unknown < UNKNOWN_MAX; tile++)
                if (o->changed[tile] &&
                    !tile_dictionary_find(o->dictionary, tile_dictionary_hash(o->dictionary, &o->now, tile),
                                          &number))
                        n_unknown++;
        return n_unknown < UNKNOWN_MAX;
}

/* Finds what only moved, and so what is left to send as tiles. */
static int encode_moves(Encoder *encoder, EncoderOutput *o, bool key, EncodedFrame *frame) {
        size_t n_tiles = (size_t) o->now.tiles_across * o->now.tiles_down;

        if (key) {
                memset(o->left, 1, n_tiles);
                refine_begin(o->refine, NULL, 0, o->changed, o->left);
                return 0;
        }
        memcpy(o->left, o->changed, n_tiles);
        if (o->n_changed < MANY_MIN || !is_known(o))
                frame->n_moves = motion_find(o->motion, &o->before, &o->now, o->left, encoder->moves);
        refine_begin(o->refine, encoder->moves, frame->n_moves, o->changed, o->left);
        if (frame->n_moves == 0)
                return 0;
        frame->n_operations++;
        return segment_operation_moves(&encoder->operations, encoder->moves, frame->n_moves);
}

static int encode_refs(Encoder *encoder, uint32_t n_refs, EncodedFrame *frame) {
        if (n_refs == 0)
                return 0;
        frame->n_operations++;
        return segment_operation_ref(&encoder->operations, encoder->refs, n_refs);
}

int encoder_encode(Encoder *encoder, uint32_t output, bool key, bool *ret_key, EncodedFrame *ret) {
        EncoderOutput *o = &encoder->outputs[output];
        EncodedFrame frame = { .operations = &encoder->operations, .times.draw = o->draw_time };
        uint64_t start = thread_time(), moved, sorted;
        Sorted runs;
        int r;

        encoder->operations.size = 0;
        key = key || !o->has_before || o->cleared;
        o->cleared = key;
        if (key)
                tile_dictionary_clear(o->dictionary);
        else
                tile_dictionary_revert(o->dictionary, o->n_kept);

        /* Most frames. */
        if (!key && o->n_changed == 0 && !refine_any(o->refine)) {
                refine_begin(o->refine, NULL, 0, o->changed, o->left);
                *ret_key = false;
                *ret = frame;
                return 0;
        }
        r = encode_moves(encoder, o, key, &frame);
        moved = thread_time();
        if (r < 0)
                return r;
        runs = sort_tiles(encoder, o, &frame);
        sorted = thread_time();
        r = encode_runs(encoder, &o->now, SEGMENT_OPERATION_NEW, encoder->runs, runs.n_runs, &frame);
        if (r >= 0)
                r = encode_runs(encoder, &o->now, SEGMENT_OPERATION_COARSE, encoder->coarse_runs,
                                runs.n_coarse_runs, &frame);
        if (r >= 0)
                r = encode_refs(encoder, runs.n_refs, &frame);
        if (r < 0)
                return r;
        frame.times.motion = moved - start;
        frame.times.dictionary = sorted - moved;
        frame.times.jpeg = thread_time() - sorted;
        *ret_key = key;
        *ret = frame;
        return frame.n_operations > 0;
}

void encoder_keep(Encoder *encoder, uint32_t output) {
        EncoderOutput *o = &encoder->outputs[output];
        Picture swap = o->before;

        o->before = o->now;
        o->now = swap;
        o->has_before = true;
        o->cleared = false;
        o->n_kept = tile_dictionary_next(o->dictionary);
        refine_keep(o->refine, o->changed);
}
