/* SPDX-License-Identifier: Apache-2.0 */
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

static void *allocate(size_t size) {
        void *memory = calloc(1, size);
        if (!memory)
                abort();
        return memory;
}

/* Takes the quantisation tables from JTAB. */
static void set_tables(const SegmentTables *tables, struct jpeg_compress_struct *compress) {
        struct jpeg_decompress_struct header;
        struct jpeg_error_mgr errors;
        unsigned table[DCTSIZE2];

        header.err = jpeg_std_error(&errors);
        jpeg_create_decompress(&header);
        jpeg_mem_src(&header, tables->data, tables->size);
        jpeg_read_header(&header, TRUE);
        for (int i = 0; i < 2; i++) {
                for (int j = 0; j < DCTSIZE2; j++)
                        table[j] = header.quant_tbl_ptrs[i]->quantval[j];
                jpeg_add_quant_table(compress, i, table, 100, TRUE);
        }
        jpeg_destroy_decompress(&header);
}

uint8_t *reference_jpeg(const uint32_t *pixels, uint32_t width, uint32_t height,
                        const SegmentTables *tables) {
        struct jpeg_compress_struct compress;
        struct jpeg_decompress_struct decompress;
        struct jpeg_error_mgr errors;
        unsigned char *jpeg = NULL;
        unsigned long size = 0;
        uint8_t *result = allocate((size_t) width * height * 4);

        compress.err = decompress.err = jpeg_std_error(&errors);
        jpeg_create_compress(&compress);
        jpeg_mem_dest(&compress, &jpeg, &size);
        compress.image_width = width;
        compress.image_height = height;
        compress.input_components = 4;
        compress.in_color_space = JCS_EXT_BGRX;
        jpeg_set_defaults(&compress);
        set_tables(tables, &compress);
        compress.comp_info[0].h_samp_factor = compress.comp_info[0].v_samp_factor = 1;
        jpeg_start_compress(&compress, TRUE);
        while (compress.next_scanline < height) {
                JSAMPROW row = (JSAMPROW) (pixels + (size_t) compress.next_scanline * width);
                jpeg_write_scanlines(&compress, &row, 1);
        }
        jpeg_finish_compress(&compress);
        jpeg_destroy_compress(&compress);

        jpeg_create_decompress(&decompress);
        jpeg_mem_src(&decompress, jpeg, size);
        jpeg_read_header(&decompress, TRUE);
        decompress.out_color_space = JCS_EXT_BGRX;
        jpeg_start_decompress(&decompress);
        while (decompress.output_scanline < height) {
                JSAMPROW row = result + (size_t) decompress.output_scanline * width * 4;
                jpeg_read_scanlines(&decompress, &row, 1);
        }
        jpeg_finish_decompress(&decompress);
        jpeg_destroy_decompress(&decompress);
        free(jpeg);
        return result;
}

void reference_init(Reference *reference, uint32_t width, uint32_t height) {
        size_t n = (size_t) width * height;

        *reference = (Reference){ width, height, allocate(n * 4), allocate(n * 4), {} };
        memset(reference->came, 0xff, n * 4);
}

void reference_done(Reference *reference) {
        free(reference->pixels);
        free(reference->came);
        *reference = (Reference){};
}

/* Every pixel at its own: slow and plain. All are taken from the picture before the frame. */
static void apply_moves(Reference *reference, const SegmentOperation *operation) {
        size_t size = (size_t) reference->width * reference->height * 4;
        uint8_t *before = allocate(size);
        uint32_t *came = allocate(size);

        memcpy(before, reference->pixels, size);
        memcpy(came, reference->came, size);
        for (uint32_t i = 0; i < operation->n_runs; i++) {
                SegmentMove move = segment_operation_move(operation, i);
                for (uint32_t y = 0; y < move.height; y++)
                        for (uint32_t x = 0; x < move.width; x++) {
                                size_t to = (size_t) (move.y + y) * reference->width + move.x + x;
                                size_t from = (size_t) (move.from_y + y) * reference->width + move.from_x +
                                              x;
                                memcpy(reference->pixels + to * 4, before + from * 4, 4);
                                reference->came[to] = came[from];
                        }
        }
        free(before);
        free(came);
}

static void apply_tiles(Reference *reference, const uint32_t *source, const uint8_t *whole, uint32_t first,
                        uint32_t count) {
        uint32_t across = segment_tiles_across(reference->width);

        for (uint32_t tile = first; tile < first + count; tile++)
                for (uint32_t y = tile / across * 8; y < tile / across * 8 + 8 && y < reference->height; y++)
                        for (uint32_t x = tile % across * 64;
                             x < tile % across * 64 + 64 && x < reference->width; x++) {
                                size_t at = (size_t) y * reference->width + x;
                                memcpy(reference->pixels + at * 4, whole + at * 4, 4);
                                reference->came[at] = source[at] & 0xffffff;
                        }
}

/* How the coarse and the other tiles of a frame look, each made when it is first needed. */
typedef struct Whole {
        uint8_t *full, *coarse;
} Whole;

static const uint8_t *whole_of(Whole *whole, const Reference *reference, const uint32_t *source,
                               const SegmentTables *tables, bool coarse) {
        uint8_t **pixels = coarse ? &whole->coarse : &whole->full;

        if (!*pixels)
                *pixels = reference_jpeg(source, reference->width, reference->height,
                                         coarse ? &reference->coarse : tables);
        return *pixels;
}

static void apply(Reference *reference, const uint32_t *source, const SegmentTables *tables,
                  const SegmentOperation *operation, Whole *whole) {
        if (operation->kind == SEGMENT_OPERATION_MOVE) {
                apply_moves(reference, operation);
                return;
        }
        const uint8_t *pixels = whole_of(whole, reference, source, tables,
                                         operation->kind == SEGMENT_OPERATION_COARSE);
        for (uint32_t i = 0; i < operation->n_runs; i++)
                if (operation->kind == SEGMENT_OPERATION_REF) {
                        SegmentRefRun run = segment_operation_ref_run(operation, i);
                        apply_tiles(reference, source, pixels, run.first, run.count);
                } else {
                        SegmentRun run = segment_operation_run(operation, i);
                        apply_tiles(reference, source, pixels, run.first, run.count);
                }
}

const char *reference_frame(Reference *reference, const uint32_t *source, const SegmentTables *tables,
                            const SegmentFrame *frame) {
        size_t n = (size_t) reference->width * reference->height, position = 0;
        SegmentOperation operation;
        Whole whole = {};

        if (frame->flags & SEGMENT_FRAME_KEY)
                memset(reference->came, 0xff, n * 4); /* it draws every tile itself */
        while (segment_frame_next(frame, &position, &operation) > 0)
                apply(reference, source, tables, &operation, &whole);
        free(whole.full);
        free(whole.coarse);
        for (size_t i = 0; i < n; i++)
                if (reference->came[i] == REFERENCE_NONE)
                        return "a pixel was never drawn";
                else if (reference->came[i] != (source[i] & 0xffffff))
                        return "a change was missed, or moved to where it is not";
        return NULL;
}

bool reference_equal(const Reference *reference, const SegmentCanvas *canvas) {
        const uint8_t *a = reference->pixels, *b = canvas->pixels;

        for (size_t i = 0; i < (size_t) reference->width * reference->height; i++, a += 4, b += 4)
                if (a[0] != b[0] || a[1] != b[1] || a[2] != b[2])
                        return false;
        return true;
}
