/* SPDX-License-Identifier: Apache-2.0 */
/* Puts known pictures on every connected output, and says when: the test machine's stand-in for a desktop.
 *
 * Standard output, one line each: "output INDEX NAME WIDTHxHEIGHT" at the start, "ready", and for each
 * picture "paint N BOOTTIME REALTIME" before its first pixel can be seen and "shown N BOOTTIME REALTIME"
 * once all of it is up (nanoseconds of the two clocks; a kernel's flip event means that the driver took it
 * over). */

#include "kms.h"
#include "pattern.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum scene { SCENE_PATTERN, SCENE_BALL };

struct options {
        const char *card;
        uint32_t width, height, n;
        double rate; /* pictures a second; 0 = only on command */
        bool front;  /* draw into the buffer that is shown */
        bool flips;  /* flip to and fro as fast as the driver can, between two pictures */
        enum scene scene;
};

static void usage(FILE *to) {
        fputs("usage: kmspaint [OPTION…]\n"
              "  --card=PATH     default /dev/dri/card0\n"
              "  --size=WxH      mode to set where there is one, default 1024x768\n"
              "  --show=N        first picture's number, default 0\n"
              "  --rate=HZ       count on by itself; default: only on command\n"
              "  --front         draw into the visible buffer and DIRTYFB, instead of page flips\n"
              "  --flips         between two pictures, as fast as the driver can; says nothing of them\n"
              "  --scene=ball    something to look at, instead of the test pattern\n"
              "Commands on standard input: show N, off, off OUTPUT, on OUTPUT, mode WxH (seen with the next\n"
              "show), cursor X Y, cursor off, quit.\n",
              to);
}

static int64_t clock_ns(clockid_t id) {
        struct timespec t;

        clock_gettime(id, &t);
        return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void say(const char *what, uint32_t n) {
        printf("%s %u %lld %lld\n", what, n, (long long) clock_ns(CLOCK_BOOTTIME),
               (long long) clock_ns(CLOCK_REALTIME));
}

static void draw_pattern(uint32_t *row, uint32_t width, uint32_t y, uint32_t n, uint8_t output) {
        uint64_t code = pattern_code(n, output);

        for (uint32_t x = 0; x < width; x++)
                row[x] = pattern_pixel(x, y, n, output, code);
}

/* Back and forth between 0 and `range`. */
static uint32_t bounce(uint32_t position, uint32_t range) {
        uint32_t p = position % (2 * range);

        return p < range ? p : 2 * range - p;
}

static void draw_ball(uint32_t *row, uint32_t width, uint32_t height, uint32_t y, uint32_t n) {
        const uint32_t radius = 72;
        int32_t centre_x = (int32_t) (radius + bounce(n * 11, width - 2 * radius));
        int32_t centre_y = (int32_t) (radius + bounce(n * 7, height - 2 * radius));
        int32_t dy = (int32_t) y - centre_y;

        for (uint32_t x = 0; x < width; x++) {
                int32_t dx = (int32_t) x - centre_x;
                int32_t left = (int32_t) (radius * radius) - dx * dx - dy * dy;
                uint32_t shade = 40 + y * 80 / height;
                row[x] = left > 0 ? 0xff9000U + (uint32_t) left / 41
                                  : shade << 16 | shade << 8 | (shade + 40);
        }
}

static void draw(const struct kms_output *o, unsigned buffer, const struct options *options, uint32_t n,
                 uint8_t output) {
        const struct kms_buffer *b = &o->buffer[buffer];

        for (uint32_t y = 0; y < o->mode.vdisplay; y++) {
                uint32_t *row = (uint32_t *) (void *) (b->map + (size_t) y * b->pitch);
                if (options->scene == SCENE_BALL)
                        draw_ball(row, o->mode.hdisplay, o->mode.vdisplay, y, n);
                else
                        draw_pattern(row, o->mode.hdisplay, y, n, output);
        }
}

static int show(struct kms *kms, const struct options *options, uint32_t n, bool *lit) {
        int r;

        if (*lit && options->front)
                say("paint", n);
        for (unsigned i = 0; i < kms->n_outputs; i++) {
                const struct kms_output *o = &kms->output[i];
                unsigned into = !*lit ? 0 : options->front ? o->front : !o->front;
                draw(o, into, options, n, (uint8_t) i);
        }
        if (!*lit || !options->front)
                say("paint", n);
        r = !*lit ? kms_show(kms) : options->front ? kms_dirty(kms) : kms_flip(kms);
        if (r < 0)
                return r;
        *lit = true;
        say("shown", n);
        return 0;
}

static bool parse_u32(const char *text, uint32_t *ret) {
        char *end;

        errno = 0;
        unsigned long long value = strtoull(text, &end, 10);
        if (errno != 0 || end == text || *end || value > UINT32_MAX || text[0] == '-')
                return false;
        *ret = (uint32_t) value;
        return true;
}

static int parse_options(int argc, char *argv[], struct options *ret) {
        static const struct option known[] = {
                { "card", required_argument, NULL, 'c' },
                { "size", required_argument, NULL, 's' },
                { "show", required_argument, NULL, 'n' },
                { "rate", required_argument, NULL, 'r' },
                { "front", no_argument, NULL, 'f' },
                { "scene", required_argument, NULL, 'p' },
                { "flips", no_argument, NULL, 'F' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        struct options o = { .card = "/dev/dri/card0", .width = 1024, .height = 768 };
        bool good = true;
        char *end, extra;
        int c;

        while (good && (c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
                switch (c) {
                case 'c':
                        o.card = optarg;
                        break;
                case 's':
                        good = sscanf(optarg, "%ux%u%c", &o.width, &o.height, &extra) == 2;
                        break;
                case 'n':
                        good = parse_u32(optarg, &o.n);
                        break;
                case 'r':
                        o.rate = strtod(optarg, &end);
                        good = *end == '\0' && o.rate >= 0 && o.rate <= 1000;
                        break;
                case 'f':
                        o.front = true;
                        break;
                case 'F':
                        o.flips = true;
                        break;
                case 'p':
                        good = !strcmp(optarg, "ball");
                        o.scene = SCENE_BALL;
                        break;
                case 'h':
                        usage(stdout);
                        exit(EXIT_SUCCESS);
                default:
                        good = false;
                }
        }
        if (!good || optind < argc) {
                usage(stderr);
                return -EINVAL;
        }
        *ret = o;
        return 0;
}

static int cursor(struct kms *kms, const char *arguments, uint32_t n) {
        int x = 0, y = 0, on = sscanf(arguments, "%d %d", &x, &y) == 2, r;

        if (!kms->cursor.map) {
                r = kms_make_cursor(kms);
                if (r < 0)
                        return r;
                for (uint32_t i = 0; i < KMS_CURSOR_SIZE; i++)
                        for (uint32_t k = 0; k < KMS_CURSOR_SIZE; k++)
                                memcpy(kms->cursor.map + i * kms->cursor.pitch + k * sizeof(uint32_t),
                                       &(uint32_t){ pattern_cursor_pixel(k, i) }, sizeof(uint32_t));
        }
        r = kms_cursor(kms, x, y, on);
        if (r < 0)
                return r;
        say("cursor", n);
        return 1;
}

/* "off 1" */
static int switch_output(struct kms *kms, const char *number, int on, uint32_t n) {
        uint32_t output;

        if (!parse_u32(number, &output) || output >= kms->n_outputs) {
                fprintf(stderr, "kmspaint: no output '%s'\n", number);
                return -EINVAL;
        }
        int r = kms_switch(kms, output, on);
        if (r < 0)
                return r;
        say(on ? "on" : "off", n);
        return 1;
}

static int resize(struct kms *kms, const char *size, bool *lit) {
        uint32_t width, height;

        if (sscanf(size, "%ux%u", &width, &height) != 2) {
                fprintf(stderr, "kmspaint: no size '%s'\n", size);
                return -EINVAL;
        }
        *lit = false;
        int r = kms_resize(kms, width, height);
        return r < 0 ? r : 1;
}

/* 1 = go on, 0 = quit, negative errno */
static int obey(char *line, struct kms *kms, struct options *options, bool *lit) {
        uint32_t n;

        line[strcspn(line, "\n")] = '\0';
        if (!strcmp(line, "quit"))
                return 0;
        if (!strcmp(line, "off")) {
                int r = kms_off(kms);
                if (r < 0)
                        return r;
                *lit = false;
                say("off", options->n);
                return 1;
        }
        if (strncmp(line, "cursor ", 7) == 0)
                return cursor(kms, line + 7, options->n);
        if (strncmp(line, "off ", 4) == 0)
                return switch_output(kms, line + 4, 0, options->n);
        if (strncmp(line, "on ", 3) == 0)
                return switch_output(kms, line + 3, 1, options->n);
        if (strncmp(line, "mode ", 5) == 0)
                return resize(kms, line + 5, lit);
        if (strncmp(line, "show ", 5) != 0 || !parse_u32(line + 5, &n)) {
                fprintf(stderr, "kmspaint: unknown command '%s'\n", line);
                return -EINVAL;
        }
        options->n = n;
        int r = show(kms, options, n, lit);
        return r < 0 ? r : 1;
}

static int paint(struct kms *kms, struct options *options) {
        int64_t period_ns = options->rate > 0 ? (int64_t) (1e9 / options->rate) : 0;
        int64_t next_ns = clock_ns(CLOCK_MONOTONIC) + period_ns;
        struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
        bool lit = false;
        char line[128];

        int r = show(kms, options, options->n, &lit);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < kms->n_outputs && options->flips; i++)
                draw(&kms->output[i], !kms->output[i].front, options, options->n + 1, (uint8_t) i);
        puts("ready");
        for (;;) {
                int64_t wait_ns = next_ns - clock_ns(CLOCK_MONOTONIC);
                int wait_ms = period_ns == 0 ? -1 : wait_ns <= 0 ? 0 : (int) (wait_ns / 1000000) + 1;
                if (options->flips && lit)
                        wait_ms = 0;
                if (poll(&input, 1, wait_ms) < 0 && errno != EINTR)
                        return -errno;
                if (input.revents) {
                        if (fgets(line, sizeof(line), stdin)) {
                                r = obey(line, kms, options, &lit);
                                if (r <= 0)
                                        return r;
                        } else
                                input.fd = -1; /* nobody commands any more: keep the picture until a signal
                                                  comes */
                } else if (options->flips && lit) {
                        r = kms_flip(kms);
                        if (r < 0)
                                return r;
                } else if (period_ns > 0 && lit && clock_ns(CLOCK_MONOTONIC) >= next_ns) {
                        next_ns += period_ns;
                        r = show(kms, options, ++options->n, &lit);
                        if (r < 0)
                                return r;
                }
        }
}

int main(int argc, char *argv[]) {
        struct options options;
        static struct kms kms;

        setvbuf(stdout, NULL, _IOLBF, 0);
        /* poll() must not be misled by lines that stdio has read ahead */
        setvbuf(stdin, NULL, _IONBF, 0);
        if (parse_options(argc, argv, &options) < 0)
                return EXIT_FAILURE;
        if (kms_open(&kms, options.card, options.width, options.height) < 0)
                return EXIT_FAILURE;
        for (unsigned i = 0; i < kms.n_outputs; i++)
                printf("output %u %s %ux%u\n", i, kms.output[i].name, kms.output[i].mode.hdisplay,
                       kms.output[i].mode.vdisplay);
        return paint(&kms, &options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
