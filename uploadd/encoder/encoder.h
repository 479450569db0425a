/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From pictures to the operations of frames. The stages are: picture.h (one private copy, and what changed),
 * motion.h (what only moved), refine.h (what may be coarse), tile-dictionary.h (what was there before),
 * tile-jpeg.h (the rest's pixels), segment-writer.h (the container). */

#include "buffer.h"
#include "picture.h"

typedef struct Encoder Encoder;

/* quality as in tile_jpeg_new(). */
int encoder_new(Encoder **ret, unsigned quality);
Encoder *encoder_free(Encoder *encoder);
DEFINE_CLEANUP(Encoder *, encoder_freep, encoder_free)

/* JTAB of all its frames, and JCOA of those that have coarse tiles. */
SegmentTables encoder_tables(const Encoder *encoder);
SegmentTables encoder_coarse_tables(const Encoder *encoder);

/* Whether from now on tiles that change fast are sent coarsely. They are sent again once they are still, in
 * this case and the other. */
void encoder_set_coarse(Encoder *encoder, bool coarse);

/* Memory for an output's pictures of a size. Another size than before forgets the picture before. -EINVAL:
 * output or size out of bounds; -ENOBUFS: no room beside the other outputs' pictures; -ENOMEM. */
int encoder_prepare(Encoder *encoder, uint32_t output, uint32_t width, uint32_t height);

/* Copies what is to be seen, which must fit the size that was prepared. Returns whether any of it has
 * changed since the picture that was kept. */
bool encoder_draw(Encoder *encoder, uint32_t output, const PicturePlane *plane);

/* Where the processor's time went in encoder_draw() and encoder_encode(), in nanoseconds of this thread. */
typedef struct EncoderTimes {
        uint64_t draw, motion, dictionary, jpeg;
} EncoderTimes;

typedef struct EncodedFrame {
        uint32_t n_operations;
        const Buffer *operations;                 /* the encoder's, until the next call */
        uint32_t n_new, n_ref, n_coarse, n_moves; /* tiles and rectangles */
        EncoderTimes times;
} EncodedFrame;

/* Encodes the picture just drawn against the one kept before, or as a keyframe if asked to or if there is
 * none. Returns whether anything has changed; ret is filled in either case. *ret_key: it is a keyframe, as
 * is the next one if this is not kept. The same picture may be encoded again. -EFBIG: larger than any
 * segment. */
int encoder_encode(Encoder *encoder, uint32_t output, bool key, bool *ret_key, EncodedFrame *ret);

/* Keeps the picture just encoded as the one that the next is compared with: its frame was written. */
void encoder_keep(Encoder *encoder, uint32_t output);

/* Drops an output's memory: it is gone. */
void encoder_forget(Encoder *encoder, uint32_t output);
