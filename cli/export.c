/* SPDX-License-Identifier: Apache-2.0 */
#include "export.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "export-image.h"
#include "export-play.h"
#include "export-video.h"
#include "segment-file.h"

static const char usage[] =
                "streamsight export [OPTION]... SEGMENT...\n"
                "\n"
                "Turns the segments of a recording (.sss), given in order, into pictures and video.\n"
                "\n"
                "  -o, --write=FILE   write FILE: .mkv is the video (MJPEG), .png and .jpg are the picture of --still;\n"
                "                     may be given several times. When the display's size changes, the video\n"
                "                     goes on in FILE-2.mkv, FILE-3.mkv, …, which must not exist\n"
                "      --still=TIME   which picture: seconds from the start (12.5), a time (2026-01-31T09:30:00Z),\n"
                "                     'first' or 'last' (default)\n"
                "      --output=ID    the display, if several were recorded; default: the first\n"
                "      --raw          write every frame to standard output, 4 bytes a pixel: blue, green, red, unused\n"
                "  -h, --help         show this\n"
                "      --version      show the version\n";

#define FILES_MAX 8U
#define BAR_WIDTH 40

enum still { STILL_LAST, STILL_FIRST, STILL_RELATIVE, STILL_ABSOLUTE };

typedef struct Export {
        const char *images[FILES_MAX];
        size_t n_images;
        const char *video_path;
        bool raw;
        enum still still;
        uint64_t still_time; /* µs from the start or since the epoch */

        ExportPlayer player;
        ExportVideo *video;
        bool still_done, still_missed;
        uint32_t raw_width, raw_height;

        size_t bytes_total, bytes_before; /* of all segments, of those played */
} Export;

static bool bar_shown;

static void bar_clear(void) {
        if (bar_shown)
                fputs("\r\033[K", stderr);
        bar_shown = false;
}

void export_message(const char *format, ...) {
        va_list arguments;

        bar_clear();
        fputs("streamsight export: ", stderr);
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
}

static void on_progress(ExportPlayer *player, size_t offset) {
        static const char marks[] = "########################################";
        static int last = -1;
        Export *export = player->userdata;
        double part = (double) (export->bytes_before + offset) / (double) export->bytes_total;
        int percent = (int) (part * 100);

        if (percent == last || !isatty(STDERR_FILENO))
                return;
        last = percent;
        bar_shown = true;
        fprintf(stderr, "\r[%-*.*s] %3i %%", BAR_WIDTH, (int) (part * BAR_WIDTH), marks, percent);
}

static int parse_uint(const char *text, uint64_t maximum, uint64_t *ret) {
        char *end;

        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        unsigned long long value = strtoull(text, &end, 10);
        if (errno != 0 || *end || value > maximum)
                return -EINVAL;
        *ret = value;
        return 0;
}

static int parse_still(Export *export, const char *text) {
        struct tm tm = {};
        char *end;

        if (strcmp(text, "first") == 0 || strcmp(text, "last") == 0) {
                export->still = text[0] == 'f' ? STILL_FIRST : STILL_LAST;
                return 0;
        }
        end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        if (end && strcmp(end, "Z") == 0) {
                export->still = STILL_ABSOLUTE;
                /* The whole second: what was shown at its end. */
                export->still_time = (uint64_t) timegm(&tm) * 1000000 + 999999;
                return 0;
        }
        double seconds = strtod(text, &end);
        if (end == text || *end || !(seconds >= 0) || seconds > 1e9)
                return -EINVAL;
        export->still = STILL_RELATIVE;
        export->still_time = (uint64_t) (seconds * 1e6);
        return 0;
}

static bool has_suffix(const char *path, const char *suffix) {
        size_t n = strlen(path), m = strlen(suffix);
        return n > m && strcasecmp(path + n - m, suffix) == 0;
}

static int add_file(Export *export, const char *path) {
        if (has_suffix(path, ".mkv") && !export->video_path) {
                export->video_path = path;
                return 0;
        }
        if ((has_suffix(path, ".png") || has_suffix(path, ".jpg") || has_suffix(path, ".jpeg")) &&
            export->n_images < FILES_MAX) {
                export->images[export->n_images++] = path;
                return 0;
        }
        export_message("%s: write one .mkv, and .png or .jpg files", path);
        return -EINVAL;
}

/* 1: go on; 0: all was said. */
static int parse_arguments(Export *export, int argc, char *argv[]) {
        enum { OPTION_STILL = 256, OPTION_OUTPUT, OPTION_RAW, OPTION_VERSION };
        static const struct option options[] = {
                { "write", required_argument, NULL, 'o' },
                { "still", required_argument, NULL, OPTION_STILL },
                { "output", required_argument, NULL, OPTION_OUTPUT },
                { "raw", no_argument, NULL, OPTION_RAW },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                {},
        };
        uint64_t id;
        int c, r;

        while ((c = getopt_long(argc, argv, "o:h", options, NULL)) >= 0) {
                r = 0;
                switch (c) {
                case 'o':
                        r = add_file(export, optarg);
                        break;
                case OPTION_STILL:
                        r = parse_still(export, optarg);
                        if (r < 0)
                                export_message("%s: not a time; see --help", optarg);
                        break;
                case OPTION_OUTPUT:
                        r = parse_uint(optarg, SEGMENT_OUTPUT_MAX - 1, &id);
                        if (r < 0) {
                                export_message("%s: not the number of an output", optarg);
                                break;
                        }
                        export->player.output = (uint32_t) id;
                        export->player.has_output = true;
                        break;
                case OPTION_RAW:
                        export->raw = true;
                        break;
                case 'h':
                        fputs(usage, stdout);
                        return 0;
                case OPTION_VERSION:
                        puts("streamsight-export " STREAMSIGHT_VERSION);
                        return 0;
                default:
                        r = -EINVAL;
                }
                if (r < 0)
                        return r;
        }
        if (optind == argc || (!export->video_path && export->n_images == 0 && !export->raw)) {
                export_message("%s; see --help",
                               optind == argc ? "which segments?" : "nothing to write: give -o");
                return -EINVAL;
        }
        if (export->raw && isatty(STDOUT_FILENO)) {
                export_message("raw frames are not for a terminal: redirect them");
                return -EINVAL;
        }
        return 1;
}

static int write_still(Export *export) {
        int r = 0;

        for (size_t i = 0; i < export->n_images && r >= 0; i++)
                r = has_suffix(export->images[i], ".png")
                                    ? export_png(export->images[i], &export->player.canvas)
                                    : export_jpeg(export->images[i], &export->player.canvas);
        export->still_done = true;
        return r;
}

/* The time of the picture that is asked for. */
static uint64_t still_time(const Export *export) {
        return export->still_time + (export->still == STILL_RELATIVE ? export->player.start : 0);
}

static bool has_time(const Export *export) {
        return export->still == STILL_RELATIVE || export->still == STILL_ABSOLUTE;
}

/* The still is what was shown before the first change after its time. */
static int on_before(ExportPlayer *player, uint64_t time) {
        Export *export = player->userdata;

        if (export->n_images == 0 || export->still_done || export->still_missed || !has_time(export) ||
            time <= still_time(export))
                return 0;
        export->still_missed = !player->shows;
        return player->shows ? write_still(export) : 0;
}

static int write_raw(Export *export) {
        const SegmentCanvas *canvas = &export->player.canvas;
        size_t size = canvas->stride * canvas->height;

        if (canvas->width != export->raw_width || canvas->height != export->raw_height)
                export_message("raw frames are of %" PRIu32 " × %" PRIu32 " pixels", canvas->width,
                               canvas->height);
        export->raw_width = canvas->width;
        export->raw_height = canvas->height;
        if (fwrite(canvas->pixels, 1, size, stdout) == size)
                return 0;
        export_message("standard output cannot be written: %s", strerror(errno));
        return -EIO;
}

/* A gap is black in a video, so that nobody takes a standing picture for what was shown. The player's own
 * canvas stays: what comes behind the gap may be drawn over it. */
static int show_black(Export *export) {
        SegmentCanvas black;

        int r = segment_canvas_init(&black, export->player.canvas.width, export->player.canvas.height);
        if (r < 0)
                return r;
        r = export_video_show(export->video, &black, export->player.time);
        segment_canvas_done(&black);
        return r;
}

static int on_after(ExportPlayer *player) {
        Export *export = player->userdata;
        int r = 0;

        if (!player->shows)
                return export->video ? show_black(export) : 0;
        if (export->n_images > 0 && !export->still_done && export->still == STILL_FIRST)
                r = write_still(export);
        if (r >= 0 && export->video)
                r = export_video_show(export->video, &player->canvas, player->time);
        if (r >= 0 && export->raw)
                r = write_raw(export);
        return r;
}

static int play_all(Export *export, char *paths[]) {
        int result = 0;

        for (char **path = paths; *path; path++) {
                struct stat st;
                if (stat(*path, &st) == 0)
                        export->bytes_total += (size_t) st.st_size;
        }
        for (char **path = paths; *path && result >= 0; path++) {
                _cleanup_free_ uint8_t *data = NULL;
                size_t size = 0;

                int r = segment_file_read(*path, &data, &size);
                if (r == -EFBIG)
                        export_message("%s: larger than any segment", *path);
                else if (r < 0)
                        export_message("%s: %s", *path, strerror(-r));
                else
                        r = export_play(&export->player, *path, data, size);
                export->bytes_before += r < 0 ? 0 : size;
                result = r;
        }
        bar_clear();
        return result;
}

/* whole: nothing of the recording is missing. */
static int finish(Export *export, bool whole) {
        int result = 0, r;

        if (export->n_images > 0 && !export->still_done) {
                if (!whole && has_time(export) && still_time(export) > export->player.time) {
                        export_message("%s: what was shown at that time is not known: the damage precedes it",
                                       export->images[0]);
                        result = -EBADMSG;
                } else if (export->player.shows && !export->still_missed)
                        result = write_still(export);
                else {
                        export_message("%s: there is no picture of that time: the recording has a gap there, or "
                                       "begins later",
                                       export->images[0]);
                        result = -ENODATA;
                }
        }
        if (export->video) {
                r = export_video_finish(export->video, export->player.time);
                result = r < 0 ? r : result;
        }
        if (export->raw && fflush(stdout) != 0)
                result = -errno;
        return result;
}

int main(int argc, char *argv[]) {
        _cleanup_(export_video_freep) ExportVideo *video = NULL;
        Export export = {
                .player = { .before = on_before, .after = on_after, .progress = on_progress },
        };
        int played, finished, r;

        export.player.userdata = &export;
        r = parse_arguments(&export, argc, argv);
        if (r <= 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (export.video_path) {
                r = export_video_new(&video, export.video_path);
                if (r < 0)
                        return EXIT_FAILURE;
                export.video = video;
        }
        played = play_all(&export, argv + optind);
        finished = finish(&export, played >= 0);
        export_player_done(&export.player);
        return played < 0 || finished < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
