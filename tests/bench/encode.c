/* SPDX-License-Identifier: Apache-2.0 */

/* Encodes raw frames (blue, green, red, unused) from standard input into a segment file, as uploadd does,
 * and prints what it cost as one line of JSON:
 *
 *   ffmpeg -v error -i trace.mkv -f rawvideo -pix_fmt bgr0 - | encode --size 1920x1080 --fps 5 -o trace.sss
 *
 * CPU times are the thread's, in milliseconds a frame, by what kind of frame it was. */

#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "beside.h"
#include "cleanup.h"
#include "encoder.h"
#include "pixels.h"
#include "rate.h"
#include "reference.h"
#include "segment-writer.h"

typedef struct Options {
        uint32_t width, height, fps, quality;
        uint64_t bytes_per_minute; /* ceilings, 0: none; the clock is that of the frames */
        uint32_t cpu_ms_per_second;
        const char *path, *decoded;
        bool compare;        /* also decode: for the PSNR, and whether it is what the reference shows */
        bool beside;         /* also what each frame costs otherwise */
        bool all_keys;       /* every frame a keyframe */
        bool write_combined; /* by the way for memory that must be read once, in whole lines */
} Options;

typedef struct Cost {
        uint64_t n, draw, motion, dictionary, jpeg; /* nanoseconds */
        uint64_t bytes, n_new, n_ref, n_moves;
} Cost;

/* --portable: the loops for any processor. The linker puts this in the place of what chooses. */
static bool portable;

const PixelLoops *__real_pixel_loops(void);
const PixelLoops *__wrap_pixel_loops(void);

const PixelLoops *__wrap_pixel_loops(void) {
        return portable ? pixel_loops_portable() : __real_pixel_loops();
}

static size_t allocated(void) {
        struct mallinfo2 info = mallinfo2();
        return info.uordblks + info.hblkhd;
}

static double squared_error(const uint32_t *pixels, const SegmentCanvas *canvas) {
        size_t n = (size_t) canvas->width * canvas->height;
        double sum = 0;

        for (size_t i = 0; i < n; i++) {
                const uint8_t *a = (const uint8_t *) &pixels[i], *b = canvas->pixels + i * 4;
                int d0 = a[0] - b[0], d1 = a[1] - b[1], d2 = a[2] - b[2];
                sum += d0 * d0 + d1 * d1 + d2 * d2;
        }
        return sum;
}

static void print_cost(const char *name, const Cost *c, bool last) {
        double n = c->n > 0 ? (double) c->n * 1e6 : 1;
        double total = (double) (c->draw + c->motion + c->dictionary + c->jpeg);

        printf("\"%s\": {\"frames\": %" PRIu64 ", \"bytes\": %" PRIu64
               ", \"ms\": %.3f, \"draw\": %.3f, \"motion\": %.3f, "
               "\"dictionary\": %.3f, \"jpeg\": %.3f, \"new\": %" PRIu64 ", \"ref\": %" PRIu64
               ", \"moves\": %" PRIu64 "}%s",
               name, c->n, c->bytes, total / n, (double) c->draw / n, (double) c->motion / n,
               (double) c->dictionary / n, (double) c->jpeg / n, c->n_new, c->n_ref, c->n_moves,
               last ? "" : ", ");
}

static bool write_file(const char *path, const Buffer *buffer) {
        FILE *file = fopen(path, "we");

        if (!file)
                return false;
        bool written = fwrite(buffer->data, 1, buffer->size, file) == buffer->size;
        return fclose(file) == 0 && written;
}

static int parse_options(Options *options, int argc, char *argv[]) {
        static const struct option longs[] = { { "size", required_argument, NULL, 's' },
                                               { "fps", required_argument, NULL, 'f' },
                                               { "quality", required_argument, NULL, 'q' },
                                               { "bytes-per-minute", required_argument, NULL, 'b' },
                                               { "cpu-ms-per-second", required_argument, NULL, 'p' },
                                               { "compare", no_argument, NULL, 'c' },
                                               { "beside", no_argument, NULL, 'r' },
                                               { "all-keys", no_argument, NULL, 'k' },
                                               { "write-combined", no_argument, NULL, 'w' },
                                               { "portable", no_argument, NULL, 'a' },
                                               { "decoded", required_argument, NULL, 'd' },
                                               {} };
        int c;

        *options = (Options){ .width = 1920, .height = 1080, .fps = 5, .quality = 85 };
        while ((c = getopt_long(argc, argv, "o:", longs, NULL)) >= 0)
                if ((c == 's' &&
                     sscanf(optarg, "%" SCNu32 "x%" SCNu32, &options->width, &options->height) != 2) ||
                    (c == 'f' && (sscanf(optarg, "%" SCNu32, &options->fps) != 1 || options->fps < 1)) ||
                    (c == 'b' && sscanf(optarg, "%" SCNu64, &options->bytes_per_minute) != 1) ||
                    (c == 'p' && sscanf(optarg, "%" SCNu32, &options->cpu_ms_per_second) != 1) ||
                    (c == 'q' && sscanf(optarg, "%" SCNu32, &options->quality) != 1) || c == '?')
                        return -EINVAL;
                else if (c == 'o')
                        options->path = optarg;
                else if (c == 'd')
                        options->decoded = optarg;
                else if (c == 'c')
                        options->compare = true;
                else if (c == 'r')
                        options->beside = true;
                else if (c == 'k')
                        options->all_keys = true;
                else if (c == 'w')
                        options->write_combined = true;
                else if (c == 'a')
                        portable = true;
        return optind == argc && segment_size_ok(options->width, options->height) ? 0 : -EINVAL;
}

typedef struct Bench {
        Options options;
        Encoder *encoder;
        SegmentWriter writer;
        SegmentCanvas canvas;
        Reference canvas_reference;
        FILE *decoded;
        Rate rate;
        SegmentRate rate_written;
        bool has_coarse;
        uint64_t n_skipped; /* frames, for the ceilings */
        uint64_t n_wrong;   /* frames not as the reference */
        Cost unchanged, changed, key;
        uint64_t n_frames, full_time, read_time;
        size_t memory; /* of the encoder at the end, without the segment */
        double error;
} Bench;

static void add_cost(Cost *cost, const EncodedFrame *encoded, uint64_t bytes) {
        cost->n++;
        cost->draw += encoded->times.draw;
        cost->motion += encoded->times.motion;
        cost->dictionary += encoded->times.dictionary;
        cost->jpeg += encoded->times.jpeg;
        cost->bytes += bytes;
        cost->n_new += encoded->n_new;
        cost->n_ref += encoded->n_ref;
        cost->n_moves += encoded->n_moves;
}

/* As uploadd does: the rate's state and the coarse tables, before a frame. */
static int write_rate(Bench *bench, const EncodedFrame *encoded, uint64_t time) {
        SegmentTables tables = encoder_coarse_tables(bench->encoder);
        SegmentRate rate;
        int r = 0;

        if (rate_news(&bench->rate, &bench->rate_written, time, &rate)) {
                r = segment_writer_rate(&bench->writer, &rate);
                bench->rate_written = rate;
        }
        if (r >= 0 && encoded->n_coarse > 0 && !bench->has_coarse) {
                r = segment_writer_coarse_tables(&bench->writer, tables.data, tables.size);
                bench->has_coarse = true;
        }
        return r;
}

static bool may_take(Bench *bench, const EncodedFrame *encoded, uint64_t time) {
        uint64_t bytes = encoded->n_operations > 0 ? encoded->operations->size + SEGMENT_CHUNK_HEADER_SIZE +
                                                                     SEGMENT_FRAM_SIZE
                                                   : 0;
        const EncoderTimes *times = &encoded->times;
        return rate_take(&bench->rate, time, bytes,
                         times->draw + times->motion + times->dictionary + times->jpeg,
                         bench->writer.n_frames == 0);
}

static int bench_frame(Bench *bench, const uint32_t *pixels) {
        const Options *options = &bench->options;
        const PicturePlane plane = { .pixels = (const uint8_t *) pixels,
                                     .pitch = (size_t) options->width * 4,
                                     .width = options->width,
                                     .height = options->height,
                                     .write_combined = options->write_combined };
        SegmentTables tables = encoder_tables(bench->encoder);
        size_t size = bench->writer.buffer.size;
        EncodedFrame encoded;
        bool key;
        int r;

        uint64_t time = bench->n_frames * 1000000 / options->fps;
        if (time < bench->rate.next) {
                bench->n_skipped++;
                bench->n_frames++;
                return 0;
        }
        (void) encoder_draw(bench->encoder, 0, &plane);
        encoder_set_coarse(bench->encoder, bench->rate.coarse);
        r = encoder_encode(bench->encoder, 0, bench->n_frames == 0 || options->all_keys, &key, &encoded);
        if (r < 0)
                return r;
        if (!may_take(bench, &encoded, time)) {
                bench->n_skipped++;
                bench->n_frames++;
                return 0;
        }
        SegmentFrame frame = { .flags = key ? SEGMENT_FRAME_KEY : 0,
                               .time = time,
                               .n_operations = encoded.n_operations,
                               .operations = encoded.operations->data,
                               .operations_size = encoded.operations->size };
        bool write = r > 0;
        r = write_rate(bench, &encoded, time);
        if (r >= 0 && write)
                r = segment_writer_frame(&bench->writer, &frame);
        if (r < 0)
                return r;
        encoder_keep(bench->encoder, 0);
        add_cost(key                        ? &bench->key
                 : encoded.n_operations > 0 ? &bench->changed
                                            : &bench->unchanged,
                 &encoded, bench->writer.buffer.size - size);
        bench->n_frames++;
        if (!options->compare)
                return 0;
        if (encoded.n_operations > 0 && (r = segment_canvas_draw(&bench->canvas, &tables, &frame)) < 0)
                return r;
        if (reference_frame(&bench->canvas_reference, pixels, &tables, &frame) ||
            !reference_equal(&bench->canvas_reference, &bench->canvas))
                bench->n_wrong++;
        if (bench->decoded && fwrite(bench->canvas.pixels, bench->canvas.stride, bench->canvas.height,
                                     bench->decoded) != bench->canvas.height)
                return -EIO;
        bench->error += squared_error(pixels, &bench->canvas);
        return 0;
}

static double psnr(double error, double n) {
        return error > 0 ? 10 * log10(255 * 255 * n / error) : 100;
}

static void print(const Bench *bench) {
        double n = bench->n_frames > 0 ? (double) bench->n_frames : 1;

        printf("{\"frames\": %" PRIu64 ", \"skipped\": %" PRIu64 ", \"bytes\": %zu, \"memory\": %zu, ",
               bench->n_frames, bench->n_skipped, bench->writer.buffer.size, bench->memory);
        if (bench->options.compare)
                printf("\"frames_not_as_reference\": %" PRIu64 ", \"psnr_rgb\": %.2f, ", bench->n_wrong,
                       psnr(bench->error, (double) bench->options.width * bench->options.height * 3 * n));
        if (bench->options.beside)
                printf("\"full_frame_ms\": %.3f, \"read_ms\": %.3f, ", (double) bench->full_time / n / 1e6,
                       (double) bench->read_time / n / 1e6);
        print_cost("unchanged", &bench->unchanged, false);
        print_cost("changed", &bench->changed, false);
        print_cost("key", &bench->key, true);
        printf("}\n");
}

/* The other ways and the encoder in turn, so that what else the machine does disturbs both; and two
 * pictures, so that what is read was not just written. */
static int bench_beside(Bench *bench, const uint32_t *pixels, uint32_t *copy) {
        const Options *options = &bench->options;
        size_t n = (size_t) options->width * options->height;

        bench->read_time += (beside_read(copy, n) + beside_read(pixels, n)) / 2;
        int r = bench_frame(bench, pixels);
        bench->full_time += beside_full_frame(pixels, options->width, options->height, options->quality);
        memcpy(copy, pixels, n * sizeof(uint32_t));
        return r;
}

static int bench_run(Bench *bench) {
        const SegmentHead head = { .software = "streamsight-encode " STREAMSIGHT_VERSION };
        const Options *options = &bench->options;
        const SegmentOutput output = { 0, options->width, options->height, options->fps * 1000, "bench" };
        size_t size = (size_t) options->width * options->height * 4;
        /* Aligned as framebuffers are: streaming loads want it. */
        _cleanup_free_ uint32_t *pixels = aligned_alloc(64, (size + 63) / 64 * 64), *copy = calloc(1, size);
        int r;

        if (!pixels || !copy)
                return -ENOMEM;
        const RateLimits limits = { 1000000 / options->fps, options->bytes_per_minute,
                                    options->cpu_ms_per_second };
        size_t before = allocated();
        rate_init(&bench->rate, &limits, 0);
        bench->rate_written.interval = limits.interval;
        r = encoder_new(&bench->encoder, options->quality);
        if (r >= 0)
                r = encoder_prepare(bench->encoder, 0, options->width, options->height);
        if (r >= 0)
                r = segment_canvas_init(&bench->canvas, options->width, options->height);
        if (r >= 0)
                r = segment_writer_init(&bench->writer, &head);
        if (r < 0)
                return r;
        if (options->decoded && !(bench->decoded = fopen(options->decoded, "we")))
                return -errno;
        if (options->compare)
                reference_init(&bench->canvas_reference, options->width, options->height);
        bench->canvas.coarse = bench->canvas_reference.coarse = encoder_coarse_tables(bench->encoder);
        SegmentTables tables = encoder_tables(bench->encoder);
        r = segment_writer_tables(&bench->writer, tables.data, tables.size);
        if (r >= 0)
                r = segment_writer_output(&bench->writer, &output);
        while (r >= 0 && fread(pixels, 1, size, stdin) == size)
                r = options->beside ? bench_beside(bench, pixels, copy) : bench_frame(bench, pixels);
        if (!options->compare && !options->beside)
                bench->memory = allocated() - before - bench->writer.buffer.capacity -
                                bench->writer.entries.capacity - bench->canvas.stride * bench->canvas.height;
        if (r >= 0)
                r = segment_writer_finish(&bench->writer, bench->n_frames * 1000000 / options->fps);
        if (r >= 0 && options->path && !write_file(options->path, &bench->writer.buffer))
                r = -EIO;
        return r;
}

int main(int argc, char *argv[]) {
        static Bench bench;
        int r;

        if (parse_options(&bench.options, argc, argv) < 0) {
                fprintf(stderr,
                        "usage: encode [--size WIDTHxHEIGHT] [--fps N] [--quality N] [--bytes-per-minute N] [--cpu-ms-per-second N] [--all-keys] [--write-combined] [--portable] [--beside] [--compare [--decoded FILE]] [-o FILE]\n");
                return EXIT_FAILURE;
        }
        r = bench_run(&bench);
        if (r < 0)
                fprintf(stderr, "encode: frame %" PRIu64 ": %s\n", bench.n_frames, strerror(-r));
        else
                print(&bench);
        encoder_free(bench.encoder);
        segment_writer_done(&bench.writer);
        segment_canvas_done(&bench.canvas);
        reference_done(&bench.canvas_reference);
        if (bench.decoded && fclose(bench.decoded) != 0)
                r = -EIO;
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
