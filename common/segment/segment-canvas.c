/* SPDX-License-Identifier: Apache-2.0 */
#include "segment-canvas.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "cleanup.h"

#define TILE_STRIDE (SEGMENT_TILE_WIDTH * 4U)
#define TILE_SIZE   (TILE_STRIDE * SEGMENT_TILE_HEIGHT)

typedef struct Decoder {
        struct jpeg_decompress_struct jpeg;
        struct jpeg_error_mgr errors;
        jmp_buf failed;
} Decoder;

int segment_canvas_init(SegmentCanvas *canvas, uint32_t width, uint32_t height) {
        if (!segment_size_ok(width, height))
                return -EINVAL;
        uint8_t *pixels = calloc((size_t) width * height, 4);
        if (!pixels)
                return -ENOMEM;
        *canvas = (SegmentCanvas){
                .width = width, .height = height, .stride = (size_t) width * 4, .pixels = pixels
        };
        return 0;
}

void segment_canvas_done(SegmentCanvas *canvas) {
        free(canvas->pixels);
        free(canvas->before);
        free(canvas->dictionary);
        *canvas = (SegmentCanvas){};
}

/* libjpeg's default is exit(). */
static void on_error(j_common_ptr jpeg) {
        Decoder *decoder = jpeg->client_data;
        longjmp(decoder->failed, 1);
}

/* A warning (level -1) is damage that libjpeg would paint over. */
static void on_message(j_common_ptr jpeg, int level) {
        if (level < 0)
                on_error(jpeg);
}

static void draw_tile(SegmentCanvas *canvas, uint32_t tile, const uint8_t *pixels) {
        uint32_t across = segment_tiles_across(canvas->width);
        uint32_t x = tile % across * SEGMENT_TILE_WIDTH, y = tile / across * SEGMENT_TILE_HEIGHT;
        uint32_t width = canvas->width - x < SEGMENT_TILE_WIDTH ? canvas->width - x : SEGMENT_TILE_WIDTH;
        uint32_t height =
                        canvas->height - y < SEGMENT_TILE_HEIGHT ? canvas->height - y : SEGMENT_TILE_HEIGHT;

        for (uint32_t row = 0; row < height; row++)
                memcpy(canvas->pixels + (y + row) * canvas->stride + (size_t) x * 4,
                       pixels + row * TILE_STRIDE, (size_t) width * 4);
}

static uint8_t *dictionary_tile(const SegmentCanvas *canvas, uint32_t number) {
        return canvas->dictionary + (size_t) (number % SEGMENT_DICTIONARY_TILES) * TILE_SIZE;
}

/* Room for so many tiles more. */
static int dictionary_grow(SegmentCanvas *canvas, uint32_t more) {
        uint32_t wanted = canvas->n_new > SEGMENT_DICTIONARY_TILES - more ? SEGMENT_DICTIONARY_TILES
                                                                          : canvas->n_new + more;

        if (wanted <= canvas->dictionary_capacity)
                return 0;
        wanted = wanted > SEGMENT_DICTIONARY_TILES / 2 ? SEGMENT_DICTIONARY_TILES : wanted * 2;
        uint8_t *larger = reallocarray(canvas->dictionary, wanted, TILE_SIZE);
        if (!larger)
                return -ENOMEM;
        canvas->dictionary = larger;
        canvas->dictionary_capacity = wanted;
        return 0;
}

static void decode(Decoder *decoder, SegmentCanvas *canvas, const SegmentOperation *operation) {
        struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
        bool numbered = operation->kind == SEGMENT_OPERATION_NEW;
        uint8_t unnumbered[TILE_SIZE];

        jpeg_read_header(jpeg, TRUE);
        jpeg->out_color_space = JCS_EXT_BGRX;
        jpeg->dct_method = JDCT_ISLOW;
        jpeg_start_decompress(jpeg);
        for (uint32_t i = 0; i < operation->n_runs; i++) {
                SegmentRun run = segment_operation_run(operation, i);
                for (uint32_t tile = run.first; tile < run.first + run.count; tile++) {
                        uint8_t *pixels = numbered ? dictionary_tile(canvas, canvas->n_new) : unnumbered;
                        for (uint32_t row = 0; row < SEGMENT_TILE_HEIGHT; row++) {
                                JSAMPROW rows[1] = { pixels + row * TILE_STRIDE };
                                jpeg_read_scanlines(jpeg, rows, 1);
                        }
                        draw_tile(canvas, tile, pixels);
                        canvas->n_new += numbered;
                }
        }
        jpeg_finish_decompress(jpeg);
}

static int decode_safely(SegmentCanvas *canvas, const SegmentOperation *operation, const uint8_t *data,
                         size_t size) {
        Decoder decoder;
        int r;

        decoder.jpeg.err = jpeg_std_error(&decoder.errors);
        decoder.errors.error_exit = on_error;
        decoder.errors.emit_message = on_message;
        decoder.jpeg.client_data = &decoder;
        if (setjmp(decoder.failed) == 0) {
                jpeg_create_decompress(&decoder.jpeg);
                jpeg_mem_src(&decoder.jpeg, data, size);
                decode(&decoder, canvas, operation);
                r = 0;
        } else
                r = -EBADMSG;
        jpeg_destroy_decompress(&decoder.jpeg);
        return r;
}

/* The new tiles behind the header are a JPEG one tile wide. */
static int draw_new(SegmentCanvas *canvas, const SegmentTables *tables, const SegmentOperation *operation) {
        size_t size = tables->size + operation->size + 2;
        _cleanup_free_ uint8_t *data = malloc(size);
        uint32_t height = operation->n_tiles * SEGMENT_TILE_HEIGHT;

        if (!tables->data)
                return -EBADMSG;
        if (!data ||
            (operation->kind == SEGMENT_OPERATION_NEW && dictionary_grow(canvas, operation->n_tiles) < 0))
                return -ENOMEM;
        memcpy(data, tables->data, tables->size);
        data[tables->height_offset] = (uint8_t) (height >> 8);
        data[tables->height_offset + 1] = (uint8_t) height;
        memcpy(data + tables->size, operation->data, operation->size);
        memcpy(data + size - 2, "\xff\xd9", 2); /* EOI */
        return decode_safely(canvas, operation, data, size);
}

static int draw_ref(SegmentCanvas *canvas, const SegmentOperation *operation) {
        for (uint32_t i = 0; i < operation->n_runs; i++) {
                SegmentRefRun run = segment_operation_ref_run(operation, i);
                uint32_t last = run.same ? 0 : run.count - 1;

                /* The reader has checked it, if it saw the same frames. */
                if (run.number >= canvas->n_new || last >= canvas->n_new - run.number)
                        return -EBADMSG;
                for (uint32_t j = 0; j < run.count; j++)
                        draw_tile(canvas, run.first + j,
                                  dictionary_tile(canvas, run.number + (run.same ? 0 : j)));
        }
        return 0;
}

static void draw_moves(SegmentCanvas *canvas, const SegmentOperation *operation) {
        for (uint32_t i = 0; i < operation->n_runs; i++) {
                SegmentMove move = segment_operation_move(operation, i);
                for (uint32_t row = 0; row < move.height; row++)
                        memcpy(canvas->pixels + (move.y + row) * canvas->stride + (size_t) move.x * 4,
                               canvas->before + (move.from_y + row) * canvas->stride +
                                               (size_t) move.from_x * 4,
                               (size_t) move.width * 4);
        }
}

/* Keeps the picture before the frame: for MOVE, and to go back to. */
static int keep_before(SegmentCanvas *canvas) {
        size_t size = canvas->stride * canvas->height;

        if (!canvas->before && !(canvas->before = malloc(size)))
                return -ENOMEM;
        memcpy(canvas->before, canvas->pixels, size);
        return 0;
}

int segment_canvas_draw(SegmentCanvas *canvas, const SegmentTables *tables, const SegmentFrame *frame) {
        SegmentOperation operation;
        size_t position = 0;
        int r;

        r = keep_before(canvas);
        if (r < 0)
                return r;
        if (frame->flags & SEGMENT_FRAME_KEY)
                canvas->n_new = 0;
        while (r >= 0 && segment_frame_next(frame, &position, &operation) > 0) {
                switch (operation.kind) {
                case SEGMENT_OPERATION_NEW:
                        r = draw_new(canvas, tables, &operation);
                        break;
                case SEGMENT_OPERATION_COARSE:
                        r = draw_new(canvas, &canvas->coarse, &operation);
                        break;
                case SEGMENT_OPERATION_REF:
                        r = draw_ref(canvas, &operation);
                        break;
                default:
                        draw_moves(canvas, &operation);
                }
        }
        if (r < 0)
                memcpy(canvas->pixels, canvas->before, canvas->stride * canvas->height);
        return r;
}
