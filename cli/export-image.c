/* SPDX-License-Identifier: Apache-2.0 */
#include "export-image.h"

#include <setjmp.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

/* The tiles were JPEG already: what a second compression adds should not be seen. */
#define JPEG_QUALITY 95

typedef struct JpegErrors {
        struct jpeg_error_mgr manager;
        jmp_buf failed;
} JpegErrors;

static void on_jpeg_error(j_common_ptr jpeg) {
        longjmp(((JpegErrors *) jpeg->err)->failed, 1);
}

static void jpeg_compress(struct jpeg_compress_struct *jpeg, const SegmentCanvas *canvas) {
        jpeg->image_width = canvas->width;
        jpeg->image_height = canvas->height;
        jpeg->input_components = 4;
        jpeg->in_color_space = JCS_EXT_BGRX;
        jpeg_set_defaults(jpeg);
        jpeg_set_quality(jpeg, JPEG_QUALITY, TRUE);
        jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1;
        jpeg_start_compress(jpeg, TRUE);
        for (uint32_t y = 0; y < canvas->height; y++) {
                JSAMPROW rows[1] = { canvas->pixels + y * canvas->stride };
                jpeg_write_scanlines(jpeg, rows, 1);
        }
        jpeg_finish_compress(jpeg);
}

int export_jpeg_encode(const SegmentCanvas *canvas, Buffer *buffer) {
        struct jpeg_compress_struct jpeg;
        struct {
                unsigned char *data;
                unsigned long size;
        } *volatile out = calloc(1, sizeof(*out));
        JpegErrors errors;
        int r;

        if (!out)
                return -ENOMEM;
        jpeg.err = jpeg_std_error(&errors.manager);
        errors.manager.error_exit = on_jpeg_error;
        if (setjmp(errors.failed) == 0) {
                jpeg_create_compress(&jpeg);
                jpeg_mem_dest(&jpeg, &out->data, &out->size);
                jpeg_compress(&jpeg, canvas);
                buffer->size = 0;
                r = buffer_append(buffer, out->data, out->size);
        } else
                r = -EIO;
        jpeg_destroy_compress(&jpeg);
        free(out->data);
        free(out);
        return r;
}

static int write_file(const char *path, const uint8_t *data, size_t size) {
        FILE *file = fopen(path, "we");
        bool ok;

        if (!file) {
                int r = -errno;
                export_message("%s: %s", path, strerror(-r));
                return r;
        }
        ok = fwrite(data, 1, size, file) == size;
        ok = fclose(file) == 0 && ok;
        if (ok)
                return 0;
        export_message("%s: cannot be written", path);
        return -EIO;
}

int export_jpeg(const char *path, const SegmentCanvas *canvas) {
        Buffer buffer = { .max = SIZE_MAX / 2 };

        int r = export_jpeg_encode(canvas, &buffer);
        if (r < 0)
                export_message("%s: the picture cannot be encoded", path);
        else
                r = write_file(path, buffer.data, buffer.size);
        buffer_done(&buffer);
        return r;
}

/* libpng's simplified interface takes blue first, but an alpha channel instead of an unused byte. */
int export_png(const char *path, const SegmentCanvas *canvas) {
        png_image image = { .version = PNG_IMAGE_VERSION,
                            .width = canvas->width,
                            .height = canvas->height,
                            .format = PNG_FORMAT_BGR };
        _cleanup_free_ uint8_t *pixels = malloc((size_t) canvas->width * canvas->height * 3), *file = NULL;
        size_t n = (size_t) canvas->width * canvas->height;
        png_alloc_size_t size = 0;

        if (!pixels)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                memcpy(pixels + i * 3, canvas->pixels + i * 4, 3);
        if (!png_image_write_get_memory_size(image, size, 0, pixels, 0, NULL) || !(file = malloc(size)) ||
            !png_image_write_to_memory(&image, file, &size, 0, pixels, 0, NULL)) {
                export_message("%s: the picture cannot be encoded: %s", path, image.message);
                png_image_free(&image);
                return -EIO;
        }
        return write_file(path, file, size);
}
