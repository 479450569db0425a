/* SPDX-License-Identifier: Apache-2.0 */
#include "tile-jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "segment-tables.h"
#include "tile-huffman.h"

#define FIRST_RESERVE (256U * 1024U)

struct TileJpeg {
        struct jpeg_compress_struct jpeg;
        struct jpeg_error_mgr errors;
        struct jpeg_destination_mgr destination;
        jmp_buf failed;
        int error; /* what to return when failed */
        Buffer image;
        uint8_t header[SEGMENT_TABLES_MAX];
        SegmentTables tables; /* of header */
};

/* libjpeg's default is exit(). */
static void on_error(j_common_ptr common) {
        TileJpeg *jpeg = common->client_data;
        if (jpeg->error == 0)
                jpeg->error = common->err->msg_code == JERR_OUT_OF_MEMORY ? -ENOMEM : -EIO;
        longjmp(jpeg->failed, 1);
}

static void on_message(j_common_ptr common _unused_, int level _unused_) {}

static void destination_room(TileJpeg *jpeg, size_t more) {
        jpeg->error = buffer_reserve(&jpeg->image, more);
        if (jpeg->error < 0)
                longjmp(jpeg->failed, 1);
        jpeg->destination.next_output_byte = jpeg->image.data + jpeg->image.size;
        jpeg->destination.free_in_buffer = jpeg->image.capacity - jpeg->image.size;
}

static void destination_init(j_compress_ptr cinfo) {
        TileJpeg *jpeg = cinfo->client_data;
        jpeg->image.size = 0;
        destination_room(jpeg, FIRST_RESERVE);
}

/* libjpeg.txt: called when the buffer is full; free_in_buffer is not up to date then. */
static boolean destination_full(j_compress_ptr cinfo) {
        TileJpeg *jpeg = cinfo->client_data;
        jpeg->image.size = jpeg->image.capacity;
        destination_room(jpeg, 1);
        return TRUE;
}

static void destination_end(j_compress_ptr cinfo) {
        TileJpeg *jpeg = cinfo->client_data;
        jpeg->image.size = jpeg->image.capacity - jpeg->destination.free_in_buffer;
}

/* At quality 85, steps from 10 to 24 for brightness and 12 to 40 for colour, growing with frequency. Annex
 * K's tables, libjpeg's, are for photographs seen from a distance: on text at 41 dB they take 20 % more
 * bytes. */
static void set_tables(struct jpeg_compress_struct *cinfo, int quality) {
        unsigned brightness[DCTSIZE2], colour[DCTSIZE2];

        for (unsigned i = 0; i < DCTSIZE2; i++) {
                unsigned frequency = i / DCTSIZE + i % DCTSIZE;
                brightness[i] = (10 + frequency) * 100 / 30;
                colour[i] = (12 + 2 * frequency) * 100 / 30;
        }
        jpeg_add_quant_table(cinfo, 0, brightness, jpeg_quality_scaling(quality), TRUE);
        jpeg_add_quant_table(cinfo, 1, colour, jpeg_quality_scaling(quality), TRUE);
}

static void set_huffman(struct jpeg_compress_struct *cinfo) {
        for (int i = 0; i < 2; i++) {
                *cinfo->dc_huff_tbl_ptrs[i] = tile_huffman_dc[i];
                *cinfo->ac_huff_tbl_ptrs[i] = tile_huffman_ac[i];
        }
}

static void compress_setup(TileJpeg *jpeg, unsigned quality) {
        struct jpeg_compress_struct *cinfo = &jpeg->jpeg;

        jpeg_create_compress(cinfo);
        cinfo->dest = &jpeg->destination;
        cinfo->image_width = SEGMENT_TILE_WIDTH;
        cinfo->image_height = SEGMENT_TILE_HEIGHT;
        cinfo->input_components = 4;
        cinfo->in_color_space = JCS_EXT_BGRX;
        jpeg_set_defaults(cinfo);
        set_tables(cinfo, (int) quality);
        set_huffman(cinfo);
        cinfo->comp_info[0].h_samp_factor = cinfo->comp_info[0].v_samp_factor = 1;
        cinfo->optimize_coding = FALSE;
        cinfo->arith_code = FALSE;
        cinfo->dct_method = JDCT_ISLOW;
        cinfo->restart_in_rows = 1;
}

static void compress_tile(struct jpeg_compress_struct *cinfo, const Picture *picture, uint32_t tile) {
        uint32_t *first = picture_tile(picture, tile);
        JSAMPROW rows[SEGMENT_TILE_HEIGHT];

        for (size_t row = 0; row < SEGMENT_TILE_HEIGHT; row++)
                rows[row] = (JSAMPROW) (first + row * picture->stride);
        jpeg_write_scanlines(cinfo, rows, SEGMENT_TILE_HEIGHT);
}

static int compress(TileJpeg *jpeg, const Picture *picture, const SegmentRun *runs, uint32_t n_runs,
                    uint32_t n_tiles) {
        jpeg->error = 0;
        if (setjmp(jpeg->failed) != 0) {
                jpeg_abort_compress(&jpeg->jpeg);
                return jpeg->error;
        }
        jpeg->jpeg.image_height = n_tiles * SEGMENT_TILE_HEIGHT;
        jpeg_start_compress(&jpeg->jpeg, TRUE);
        for (uint32_t i = 0; i < n_runs; i++)
                for (uint32_t tile = runs[i].first; tile < runs[i].first + runs[i].count; tile++)
                        compress_tile(&jpeg->jpeg, picture, tile);
        jpeg_finish_compress(&jpeg->jpeg);
        return 0;
}

static int setup_safely(TileJpeg *jpeg, unsigned quality) {
        if (setjmp(jpeg->failed) != 0)
                return jpeg->error;
        compress_setup(jpeg, quality);
        return 0;
}

/* Where the entropy-coded data begins: behind SOS, which ends the header. */
static size_t header_size(const Buffer *image) {
        size_t at = 2;

        while (at + 4 <= image->size && image->data[at + 1] != 0xda)
                at += 2 + ((size_t) image->data[at + 2] << 8 | image->data[at + 3]);
        return at + 4 <= image->size ? at + 2 + ((size_t) image->data[at + 2] << 8 | image->data[at + 3])
                                     : 0;
}

/* Learns the header from the image of one black tile. */
static int learn_header(TileJpeg *jpeg) {
        static uint32_t black[SEGMENT_TILE_HEIGHT * SEGMENT_TILE_WIDTH];
        const Picture tile = { SEGMENT_TILE_WIDTH, SEGMENT_TILE_HEIGHT, 1, 1, SEGMENT_TILE_WIDTH, black };
        const SegmentRun run = { 0, 1 };
        const char *why;
        int r;

        r = compress(jpeg, &tile, &run, 1, 1);
        if (r < 0)
                return r;
        size_t size = header_size(&jpeg->image);
        if (size == 0 || size > sizeof(jpeg->header))
                return -EIO;
        memcpy(jpeg->header, jpeg->image.data, size);
        return segment_tables_parse(jpeg->header, size, &jpeg->tables, &why);
}

int tile_jpeg_new(TileJpeg **ret, unsigned quality) {
        _cleanup_(tile_jpeg_freep) TileJpeg *jpeg = NULL;
        int r;

        if (quality < 1 || quality > 100)
                return -EINVAL;
        if (!(jpeg = calloc(1, sizeof(*jpeg))))
                return -ENOMEM;
        jpeg->image.max = SEGMENT_SIZE_MAX + FIRST_RESERVE;
        jpeg->jpeg.err = jpeg_std_error(&jpeg->errors);
        jpeg->errors.error_exit = on_error;
        jpeg->errors.emit_message = on_message;
        jpeg->jpeg.client_data = jpeg;
        jpeg->destination.init_destination = destination_init;
        jpeg->destination.empty_output_buffer = destination_full;
        jpeg->destination.term_destination = destination_end;

        r = setup_safely(jpeg, quality);
        if (r >= 0)
                r = learn_header(jpeg);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(jpeg);
        return 0;
}

TileJpeg *tile_jpeg_free(TileJpeg *jpeg) {
        if (!jpeg)
                return NULL;
        jpeg_destroy_compress(&jpeg->jpeg);
        buffer_done(&jpeg->image);
        free(jpeg);
        return NULL;
}

SegmentTables tile_jpeg_tables(const TileJpeg *jpeg) {
        return jpeg->tables;
}

/* The image must begin with the header just as it is in JTAB, or a decoder would read it wrongly. */
static bool header_equal(TileJpeg *jpeg, uint32_t n_tiles) {
        uint32_t height = n_tiles * SEGMENT_TILE_HEIGHT;

        jpeg->header[jpeg->tables.height_offset] = (uint8_t) (height >> 8);
        jpeg->header[jpeg->tables.height_offset + 1] = (uint8_t) height;
        bool equal = jpeg->image.size > jpeg->tables.size + 2 &&
                     memcmp(jpeg->image.data, jpeg->header, jpeg->tables.size) == 0;
        jpeg->header[jpeg->tables.height_offset] = 0;
        jpeg->header[jpeg->tables.height_offset + 1] = SEGMENT_TILE_HEIGHT;
        return equal;
}

int tile_jpeg_encode(TileJpeg *jpeg, const Picture *picture, const SegmentRun *runs, uint32_t n_runs,
                     uint32_t n_tiles, const uint8_t **ret_data, size_t *ret_size) {
        int r;

        if (n_tiles < 1 || n_tiles > SEGMENT_TILES_MAX)
                return -EINVAL;
        r = compress(jpeg, picture, runs, n_runs, n_tiles);
        if (r < 0)
                return r;
        if (!header_equal(jpeg, n_tiles))
                return -EIO;
        *ret_data = jpeg->image.data + jpeg->tables.size;
        *ret_size = jpeg->image.size - jpeg->tables.size - 2; /* EOI */
        return 0;
}
