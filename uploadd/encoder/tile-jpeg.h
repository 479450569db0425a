/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tiles to JPEG: many of a picture in one compress call, as one tall image a tile wide, which costs what an
 * image of their area costs. 4:4:4, fixed Huffman tables, one restart interval a tile: the bytes of a tile
 * depend on its pixels alone. */

#include "buffer.h"
#include "picture.h"

typedef struct TileJpeg TileJpeg;

/* quality: 1 to 100, as libjpeg's. -ENOMEM, -EINVAL. */
int tile_jpeg_new(TileJpeg **ret, unsigned quality);
TileJpeg *tile_jpeg_free(TileJpeg *jpeg);
DEFINE_CLEANUP(TileJpeg *, tile_jpeg_freep, tile_jpeg_free)

/* The header that all its images share but for the height: JTAB. Valid as long as jpeg. */
SegmentTables tile_jpeg_tables(const TileJpeg *jpeg);

/* Encodes n_tiles (≤ SEGMENT_TILES_MAX) tiles of the runs. *ret_data points into jpeg until the next call:
 * the entropy-coded data, without header and EOI. -EFBIG: more than SEGMENT_SIZE_MAX; -ENOMEM; -EIO: libjpeg
 * failed. */
int tile_jpeg_encode(TileJpeg *jpeg, const Picture *picture, const SegmentRun *runs, uint32_t n_runs,
                     uint32_t n_tiles, const uint8_t **ret_data, size_t *ret_size);
