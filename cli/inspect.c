/* SPDX-License-Identifier: Apache-2.0 */

/* streamsight-inspect: prints what segments consist of, a line for each chunk and operation, up to the end
 * or to where one is damaged. */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "segment-file.h"
#include "segment-reader.h"

static const char usage[] =
                "streamsight inspect SEGMENT...\n"
                "\n"
                "Prints what recorded segments (.sss) consist of, a line for each chunk and operation, up to the end or to\n"
                "where one is damaged.\n"
                "\n"
                "  -h, --help     show this\n"
                "      --version  show the version\n";

static const char *gap_reason(uint32_t reason) {
        static const char *const names[] = {
                [SEGMENT_GAP_NO_GRANT] = "no permission to record",
                [SEGMENT_GAP_OFF] = "display off",
                [SEGMENT_GAP_UNFINISHED] = "graphics hardware does not finish drawing",
                [SEGMENT_GAP_UNPLUGGED] = "unplugged",
                [SEGMENT_GAP_UNDECODABLE] = "framebuffer cannot be read",
                [SEGMENT_GAP_OVERLOAD] = "overload",
                [SEGMENT_GAP_NO_CAPTURE] = "capture service does not answer",
                [SEGMENT_GAP_PAUSED] = "paused",
                [SEGMENT_GAP_LOCKED] = "session locked",
        };
        return reason < ELEMENTSOF(names) && names[reason] ? names[reason] : "unknown reason";
}

/* Names come from the file: what is no printable ASCII could play tricks with the terminal. */
static void print_text(const char *text) {
        for (; *text; text++)
                putchar(*text >= ' ' && *text <= '~' ? *text : '?');
}

static void print_uuid(const uint8_t id[static 16]) {
        for (int i = 0; i < 16; i++)
                printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
}

static void print_head(const SegmentHead *head) {
        time_t seconds = (time_t) (head->start_realtime / 1000000);
        char text[32] = "?";
        struct tm tm;

        if (gmtime_r(&seconds, &tm))
                (void) strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
        printf("version %" PRIu32 ", sequence %" PRIu32 ", start %s.%06" PRIu64 "Z, recording ",
               head->version, head->sequence, text, head->start_realtime % 1000000);
        print_uuid(head->recording);
        printf(", device ");
        print_uuid(head->device);
        printf(", by \"");
        print_text(head->software);
        printf("\"\n");
}

static void print_time(uint64_t time) {
        printf("%" PRIu64 ".%06" PRIu64 " s", time / 1000000, time % 1000000);
}

static uint64_t ref_tiles(const SegmentOperation *operation) {
        uint64_t n = 0;

        for (uint32_t i = 0; i < operation->n_runs; i++)
                n += segment_operation_ref_run(operation, i).count;
        return n;
}

static void print_operation(const SegmentOperation *operation) {
        switch (operation->kind) {
        case SEGMENT_OPERATION_NEW:
                printf("%28s%" PRIu32 " tiles in %" PRIu32 " runs, %zu bytes of JPEG data\n", "NEW   ",
                       operation->n_tiles, operation->n_runs, operation->size);
                break;
        case SEGMENT_OPERATION_COARSE:
                printf("%28s%" PRIu32 " tiles in %" PRIu32 " runs, %zu bytes of JPEG data\n", "COARSE ",
                       operation->n_tiles, operation->n_runs, operation->size);
                break;
        case SEGMENT_OPERATION_REF:
                printf("%28s%" PRIu64 " tiles in %" PRIu32 " runs\n", "REF   ", ref_tiles(operation),
                       operation->n_runs);
                break;
        default:
                for (uint32_t i = 0; i < operation->n_runs; i++) {
                        SegmentMove move = segment_operation_move(operation, i);
                        printf("%28s%" PRIu32 " × %" PRIu32 " from %" PRIu32 ", %" PRIu32 " to %" PRIu32
                               ", %" PRIu32 "\n",
                               "MOVE  ", move.width, move.height, move.from_x, move.from_y, move.x, move.y);
                }
        }
}

static void print_frame(const SegmentFrame *frame) {
        SegmentOperation operation;
        size_t position = 0;

        printf("output %" PRIu32 " at ", frame->output);
        print_time(frame->time);
        printf("%s%s, %zu bytes\n", frame->flags & SEGMENT_FRAME_KEY ? ", keyframe" : "",
               frame->flags & SEGMENT_FRAME_TORN ? ", torn" : "", frame->operations_size);
        while (segment_frame_next(frame, &position, &operation) > 0)
                print_operation(&operation);
}

static void print_gap(const SegmentGap *gap) {
        if (gap->output == SEGMENT_OUTPUT_ALL)
                printf("all outputs");
        else
                printf("output %" PRIu32, gap->output);
        printf(" from ");
        print_time(gap->time);
        printf(": %s (%" PRIu32 ")\n", gap_reason(gap->reason), gap->reason);
}

static void print_cursor(const SegmentCursor *cursor) {
        printf("output %" PRIu32 " at ", cursor->output);
        print_time(cursor->time);
        if (cursor->visible)
                printf(": image %" PRIu32 " at %" PRIi32 ", %" PRIi32 "\n", cursor->image, cursor->x,
                       cursor->y);
        else
                printf(": hidden\n");
}

static void print_session(const SegmentSession *session) {
        printf("from ");
        print_time(session->time);
        if (!(session->flags & SEGMENT_SESSION_OPEN)) {
                printf(": nobody is logged in\n");
                return;
        }
        printf(": %s", session->flags & SEGMENT_SESSION_LOGIN ? "login screen of " : "");
        print_text(session->user);
        printf(" (uid %" PRIu32 "), session ", session->uid);
        print_text(session->id);
        printf(" on ");
        print_text(session->seat);
        printf("\n");
}

static void print_rate(const SegmentRate *rate) {
        printf("from ");
        print_time(rate->time);
        printf(": a frame every ");
        print_time(rate->interval);
        printf("%s%s%s\n", rate->flags & SEGMENT_RATE_COARSE ? ", coarse where it changes fast" : "",
               rate->flags & SEGMENT_RATE_BYTES ? ", for the ceiling of bytes" : "",
               rate->flags & SEGMENT_RATE_CPU ? ", for the ceiling of processor time" : "");
}

static void print_chunk(const SegmentChunk *chunk) {
        printf("%10zu  %.4s  ", chunk->offset, (const char *) &(uint32_t){ htole32(chunk->type) });
        switch (chunk->type) {
        case SEGMENT_HEAD:
                print_head(&chunk->head);
                break;
        case SEGMENT_OUTP:
                printf("output %" PRIu32 ": %" PRIu32 " × %" PRIu32 ", %" PRIu32 ".%03" PRIu32 " Hz, \"",
                       chunk->output.id, chunk->output.width, chunk->output.height,
                       chunk->output.refresh_mhz / 1000, chunk->output.refresh_mhz % 1000);
                print_text(chunk->output.name);
                printf("\"\n");
                break;
        case SEGMENT_JTAB:
        case SEGMENT_JCOA:
                printf("%zu bytes of JPEG header%s\n", chunk->tables.size,
                       chunk->type == SEGMENT_JCOA ? " of coarse tiles" : "");
                break;
        case SEGMENT_FRAM:
                print_frame(&chunk->frame);
                break;
        case SEGMENT_GAP:
                print_gap(&chunk->gap);
                break;
        case SEGMENT_CIMG:
                printf("cursor image %" PRIu32 ": %" PRIu32 " × %" PRIu32 ", points with %" PRIi32
                       ", %" PRIi32 ", %zu bytes\n",
                       chunk->cursor_image.id, chunk->cursor_image.width, chunk->cursor_image.height,
                       chunk->cursor_image.hot_x, chunk->cursor_image.hot_y, chunk->cursor_image.size);
                break;
        case SEGMENT_CPOS:
                print_cursor(&chunk->cursor);
                break;
        case SEGMENT_SESS:
                print_session(&chunk->session);
                break;
        case SEGMENT_RATE:
                print_rate(&chunk->rate);
                break;
        case SEGMENT_INDX:
                printf("end at ");
                print_time(chunk->index.end_time);
                printf(", %" PRIu32 " frames, %" PRIu32 " keyframes\n", chunk->index.n_frames,
                       chunk->index.n_entries);
                break;
        default:
                printf("\n");
        }
}

static int inspect(const char *path) {
        _cleanup_free_ uint8_t *data = NULL;
        SegmentReader reader;
        SegmentChunk chunk;
        size_t size = 0;
        int r;

        r = segment_file_read(path, &data, &size);
        if (r < 0) {
                fprintf(stderr, "streamsight inspect: %s: %s\n", path,
                        r == -EFBIG ? "larger than any segment" : strerror(-r));
                return r;
        }
        printf("%s: %zu bytes\n", path, size);
        segment_reader_init(&reader, data, size);
        while ((r = segment_reader_next(&reader, &chunk)) > 0)
                print_chunk(&chunk);
        if (r < 0) {
                fflush(stdout);
                fprintf(stderr, "streamsight inspect: %s: damaged at byte %zu: %s\n", path,
                        reader.error_offset, reader.error);
        }
        return r;
}

int main(int argc, char *argv[]) {
        enum { OPTION_VERSION = 256 };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                {},
        };
        int result = 0;

        for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) >= 0;)
                switch (c) {
                case 'h':
                        fputs(usage, stdout);
                        return EXIT_SUCCESS;
                case OPTION_VERSION:
                        puts("streamsight-inspect " STREAMSIGHT_VERSION);
                        return EXIT_SUCCESS;
                default:
                        return EXIT_FAILURE;
                }
        if (optind == argc) {
                fputs("streamsight inspect: which segments? See --help\n", stderr);
                return EXIT_FAILURE;
        }
        for (char **path = argv + optind; *path; path++) {
                int r = inspect(*path);
                result = r < 0 ? r : result;
        }
        return result < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
