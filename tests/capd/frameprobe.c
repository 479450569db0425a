/* SPDX-License-Identifier: Apache-2.0 */

/* A client of capd for tests: does as it is told, also what it should not, and prints one line of
 * "key=value" words for each answer. It runs as the user that the socket is for. */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "capd-client.h"

static void usage(void) {
        fputs("usage: frameprobe SOCKET COMMAND…\n"
              "  outputs                        lists the outputs\n"
              "  next OUTPUT [COUNT [WAIT_MS]]  asks for frames\n"
              "  count OUTPUTS ROUNDS WAIT_MS   asks for frames of outputs 0 to OUTPUTS - 1, and counts the answers\n"
              "  dump OUTPUT FILE [PLANE]       asks for a frame and writes a plane's rows, without padding; default 0\n"
              "  planes OUTPUT                  asks for a frame and prints all its planes\n"
              "  session                        does as lines of input say: next OUTPUT, confirm, hear\n"
              "  tear OUTPUT COUNT READ_MS      asks for frames as uploadd does whose reading takes so long, and counts\n"
              "                                 which a flip has torn, and which were torn again when taken again\n"
              "  write OUTPUT                   asks for a frame and tries to change it\n"
              "  grant OUTPUTS INTERVAL_MS LIFETIME_MS | revoke | status\n"
              "  rescan CARDS TIME              tells of cards (1) or displays (0) that changed at this time, ns\n"
              "  raw HEX [N_FDS]                sends these bytes after HELLO, with so many descriptors; @N: N zeros\n"
              "  rude HEX [N_FDS]               the same instead of HELLO\n"
              "  hold SECONDS                   stays connected\n",
              stderr);
        exit(2);
}

static unsigned long number(const char *text) {
        char *end;
        unsigned long n = strtoul(text, &end, 0);

        if (*end || end == text)
                usage();
        return n;
}

static uint64_t now(void) {
        struct timespec t;

        clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t) t.tv_sec * UINT64_C(1000000000) + (uint64_t) t.tv_nsec;
}

static size_t pixel_size(const struct wire_plane *plane) {
        return memcmp(&plane->format, "RG16", 4) == 0 ? 2 : 4;
}

/* Every row of a plane's framebuffer, without padding. The sum makes a change visible. */
static uint64_t read_picture(const Answer *answer, uint32_t i, FILE *to) {
        const struct wire_plane *plane = &answer->frame.planes[i];
        size_t size = plane->offsets[0] + (size_t) plane->pitches[0] * plane->height;
        size_t row_size = plane->width * pixel_size(plane);
        int fd = answer->fds[plane->fds[0]];
        bool dmabuf = answer->frame.memory == WIRE_MEMORY_DMABUF;
        struct dma_buf_sync sync = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
        uint64_t sum = 0;

        if (lseek(fd, 0, SEEK_END) < (off_t) size)
                client_fail("the memory is smaller than its description");
        const uint8_t *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                client_fail("mmap");
        if (dmabuf && ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) < 0)
                client_fail("DMA_BUF_IOCTL_SYNC");
        for (uint32_t y = 0; y < plane->height; y++) {
                const uint8_t *row = map + plane->offsets[0] + (size_t) y * plane->pitches[0];
                for (size_t x = 0; x < row_size; x++)
                        sum = sum * 31 + row[x];
                if (to && fwrite(row, 1, row_size, to) != row_size)
                        client_fail("write");
        }
        sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ;
        if (dmabuf)
                ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
        munmap((void *) map, size);
        return sum;
}

static void print_frame(const Answer *answer, uint32_t i) {
        const struct wire_frame *f = &answer->frame;
        const struct wire_plane *p = &f->planes[i];

        printf("frame output=%u sequence=%" PRIu64 " time=%" PRIu64 " identity=%016" PRIx64
               " width=%u height=%u memory=%u n_fds=%u received_fds=%u n_planes=%u eotf=%u plane=%u type=%u"
               " format=%.4s modifier=%#" PRIx64
               " n_memory=%u pitch=%u offset=%u fb_width=%u fb_height=%u"
               " src=%u,%u,%u,%u crtc=%d,%d,%u,%u rotation=%u zpos=%u alpha=%u blend=%u hotspot=%d,%d",
               f->output, f->sequence, f->time, f->identity, f->width, f->height, f->memory, f->n_fds,
               answer->n_fds, f->n_planes, f->hdr.eotf, p->plane_id, p->type, (const char *) &p->format,
               p->modifier, p->n_memory, p->pitches[0], p->offsets[0], p->width, p->height, p->src_x >> 16,
               p->src_y >> 16, p->src_w >> 16, p->src_h >> 16, p->crtc_x, p->crtc_y, p->crtc_w, p->crtc_h,
               p->rotation, p->zpos, p->alpha, p->blend_mode, p->hotspot_x, p->hotspot_y);
}

static void print_answer(const Answer *a) {
        switch (a->type) {
        case WIRE_FRAME_OUTPUTS:
                printf("outputs n=%u asleep=%#" PRIx64 "\n", a->outputs.n_outputs, a->outputs.asleep);
                for (uint32_t i = 0; i < a->outputs.n_outputs; i++) {
                        const struct wire_output *o = &a->outputs.outputs[i];
                        printf("output id=%u name=%s driver=%s width=%u height=%u refresh_mhz=%u\n", o->id,
                               o->name, o->driver, o->width, o->height, o->refresh_mhz);
                }
                break;
        case WIRE_FRAME_NONE:
                printf("none output=%u reason=%u format=%#x modifier=%#" PRIx64 " not_before=%" PRIu64 "\n",
                       a->none.output, a->none.reason, a->none.format, a->none.modifier, a->none.not_before);
                break;
        case WIRE_CONTROL_STATUS:
                printf("status n_cards=%u n_outputs=%u last_reason=%u left_ms=%" PRId64 " frames=%" PRIu64
                       " refusals=%" PRIu64 "\n",
                       a->status.n_cards, a->status.n_outputs, a->status.last_reason,
                       a->status.grant_expires > 0 ? (int64_t) (a->status.grant_expires - now()) / 1000000
                                                   : 0,
                       a->status.frames, a->status.refusals);
                break;
        case WIRE_FRAME_CONFIRMED:
                printf("confirmed output=%u sequence=%" PRIu64 " whole=%u\n", a->confirmed.output,
                       a->confirmed.sequence, a->confirmed.whole);
                break;
        case WIRE_FRAME_FRAME:
                print_frame(a, 0);
                puts("");
                break;
        default:
                printf("unknown type=%#x\n", a->type);
        }
}

static void do_next(int fd, uint32_t output, unsigned count, unsigned wait_ms) {
        for (unsigned i = 0; i < count; i++) {
                Answer answer;

                client_next(fd, output, &answer);
                if (answer.type == WIRE_FRAME_FRAME) {
                        print_frame(&answer, 0);
                        printf(" sum=%016" PRIx64 "\n", read_picture(&answer, 0, NULL));
                } else
                        print_answer(&answer);
                client_answer_close(&answer);
                if (i + 1 < count)
                        usleep(wait_ms * 1000);
        }
}

static void do_count(int fd, uint32_t outputs, unsigned rounds, unsigned wait_ms) {
        unsigned frames = 0, nones[_WIRE_REASON_MAX] = {};

        for (unsigned i = 0; i < rounds; i++) {
                for (uint32_t output = 0; output < outputs; output++) {
                        Answer answer;

                        client_next(fd, output, &answer);
                        if (answer.type == WIRE_FRAME_FRAME)
                                frames++;
                        else if (answer.type == WIRE_FRAME_NONE && answer.none.reason < _WIRE_REASON_MAX)
                                nones[answer.none.reason]++;
                        client_answer_close(&answer);
                }
                usleep(wait_ms * 1000);
        }
        printf("count frames=%u no_grant=%u too_soon=%u off=%u\n", frames, nones[WIRE_REASON_NO_GRANT],
               nones[WIRE_REASON_TOO_SOON], nones[WIRE_REASON_OFF]);
}

static void do_dump(int fd, uint32_t output, const char *path, uint32_t plane) {
        Answer answer;

        client_next(fd, output, &answer);
        if (answer.type != WIRE_FRAME_FRAME || plane >= answer.frame.n_planes) {
                print_answer(&answer);
                return;
        }
        print_frame(&answer, plane);
        puts("");
        _cleanup_fclose_ FILE *to = fopen(path, "w");
        if (!to)
                client_fail("open");
        read_picture(&answer, plane, to);
}

static void do_planes(int fd, uint32_t output) {
        Answer answer;

        client_next(fd, output, &answer);
        if (answer.type != WIRE_FRAME_FRAME)
                print_answer(&answer);
        for (uint32_t i = 0; answer.type == WIRE_FRAME_FRAME && i < answer.frame.n_planes; i++) {
                print_frame(&answer, i);
                printf(" sum=%016" PRIx64 "\n", read_picture(&answer, i, NULL));
        }
}

/* A client that a test leads step by step. */
static void do_session(int fd) {
        struct wire_frame_confirm confirm = { .type = WIRE_FRAME_CONFIRM };
        char line[64];

        setvbuf(stdin, NULL, _IONBF, 0);
        puts("ready");
        while (fgets(line, sizeof(line), stdin)) {
                Answer answer;

                if (strcmp(line, "hear\n") == 0) {
                        if (!client_hear(fd, &answer)) {
                                puts("closed");
                                return;
                        }
                } else if (strncmp(line, "next ", 5) == 0)
                        client_next(fd, (uint32_t) atoi(line + 5), &answer);
                else
                        client_ask(fd, &confirm, sizeof(confirm), &answer);
                print_answer(&answer);
                if (answer.type == WIRE_FRAME_FRAME) {
                        confirm.output = answer.frame.output;
                        confirm.sequence = answer.frame.sequence;
                }
                client_answer_close(&answer);
        }
}

/* Whether a frame was whole when it had been read, for so long. */
static uint32_t read_for(int fd, uint32_t output, unsigned read_ms) {
        struct wire_frame_confirm confirm = { WIRE_FRAME_CONFIRM, output, 0 };
        Answer answer;

        client_next(fd, output, &answer);
        if (answer.type != WIRE_FRAME_FRAME)
                return 0;
        client_answer_close(&answer);
        confirm.sequence = answer.frame.sequence;
        usleep(read_ms * 1000);
        client_ask(fd, &confirm, sizeof(confirm), &answer);
        return answer.confirmed.whole;
}

static void do_tear(int fd, uint32_t output, unsigned count, unsigned read_ms) {
        unsigned frames = 0, torn = 0, again = 0;

        for (unsigned i = 0; i < count; i++) {
                uint32_t whole = read_for(fd, output, read_ms);
                frames += whole != 0;
                torn += whole == WIRE_AGAIN;
                for (bool first = true; whole == WIRE_AGAIN; first = false) {
                        whole = read_for(fd, output, read_ms);
                        again += first && whole != WIRE_WHOLE;
                }
                /* Not in step with what is shown. */
                usleep(20000 + (useconds_t) random() % 20000);
        }
        printf("tear frames=%u torn=%u again=%u\n", frames, torn, again);
}

/* A picture that its receiver can change would be a way to draw on the screen. */
static void do_write(int fd, uint32_t output) {
        Answer answer;

        client_next(fd, output, &answer);
        print_answer(&answer);
        if (answer.type != WIRE_FRAME_FRAME)
                return;
        printf("mode=%s", (fcntl(answer.fds[0], F_GETFL) & O_ACCMODE) == O_RDONLY ? "read" : "write");
        void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, answer.fds[0], 0);
        printf(" writable_map=%s", map == MAP_FAILED ? "refused" : "allowed");
        map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, answer.fds[0], 0);
        printf(" mprotect=%s\n", mprotect(map, 4096, PROT_READ | PROT_WRITE) < 0 ? "refused" : "allowed");
}

static void do_raw(int fd, const char *hex, int n_fds) {
        static uint8_t bytes[70000];
        size_t size = hex[0] == '@' ? number(hex + 1) : strlen(hex) / 2;
        Answer answer;

        if (size > sizeof(bytes) || n_fds > 64)
                usage();
        for (size_t i = 0; i < size && hex[0] != '@'; i++)
                if (sscanf(hex + 2 * i, "%2hhx", &bytes[i]) != 1)
                        usage();
        client_say(fd, bytes, size, n_fds);
        if (!client_hear(fd, &answer))
                puts("closed");
        else
                print_answer(&answer);
}

int main(int argc, char *argv[]) {
        static Answer answer;

        if (argc < 3)
                usage();
        const char *command = argv[2];
        char **arguments = argv + 3;
        int n = argc - 3;

        setvbuf(stdout, NULL, _IOLBF, 0);
        _cleanup_close_ int fd = client_connect(argv[1]);
        if (strcmp(command, "rude") == 0 && n >= 1) {
                client_hear(fd, &answer);
                do_raw(fd, arguments[0], n > 1 ? (int) number(arguments[1]) : 0);
                return 0;
        }
        client_hello(fd);

        if (strcmp(command, "outputs") == 0) {
                const struct wire_plain message = { WIRE_FRAME_OUTPUTS_GET, 0 };
                client_ask(fd, &message, sizeof(message), &answer);
                print_answer(&answer);
        } else if (strcmp(command, "next") == 0 && n >= 1)
                do_next(fd, (uint32_t) number(arguments[0]), n > 1 ? (unsigned) number(arguments[1]) : 1,
                        n > 2 ? (unsigned) number(arguments[2]) : 0);
        else if (strcmp(command, "count") == 0 && n == 3)
                do_count(fd, (uint32_t) number(arguments[0]), (unsigned) number(arguments[1]),
                         (unsigned) number(arguments[2]));
        else if (strcmp(command, "dump") == 0 && n >= 2)
                do_dump(fd, (uint32_t) number(arguments[0]), arguments[1],
                        n > 2 ? (uint32_t) number(arguments[2]) : 0);
        else if (strcmp(command, "planes") == 0 && n == 1)
                do_planes(fd, (uint32_t) number(arguments[0]));
        else if (strcmp(command, "session") == 0 && n == 0)
                do_session(fd);
        else if (strcmp(command, "tear") == 0 && n == 3)
                do_tear(fd, (uint32_t) number(arguments[0]), (unsigned) number(arguments[1]),
                        (unsigned) number(arguments[2]));
        else if (strcmp(command, "write") == 0 && n == 1)
                do_write(fd, (uint32_t) number(arguments[0]));
        else if (strcmp(command, "grant") == 0 && n == 3) {
                const struct wire_control_grant message = {
                        .type = WIRE_CONTROL_GRANT,
                        .outputs = number(arguments[0]),
                        .min_interval = number(arguments[1]) * 1000000,
                        .expires = now() + number(arguments[2]) * 1000000,
                };
                client_ask(fd, &message, sizeof(message), &answer);
                print_answer(&answer);
        } else if (strcmp(command, "revoke") == 0 || strcmp(command, "status") == 0) {
                const struct wire_plain message = { command[0] == 'r' ? WIRE_CONTROL_REVOKE
                                                                      : WIRE_CONTROL_STATUS_GET,
                                                    0 };
                client_ask(fd, &message, sizeof(message), &answer);
                print_answer(&answer);
        } else if (strcmp(command, "rescan") == 0 && n == 2) {
                const struct wire_control_rescan message = { WIRE_CONTROL_RESCAN,
                                                             (uint32_t) number(arguments[0]),
                                                             number(arguments[1]) };
                client_say(fd, &message, sizeof(message), 0);
                puts("said");
        } else if (strcmp(command, "raw") == 0 && n >= 1)
                do_raw(fd, arguments[0], n > 1 ? (int) number(arguments[1]) : 0);
        else if (strcmp(command, "hold") == 0 && n == 1) {
                struct pollfd p = { fd, POLLIN, 0 };
                puts("holding");
                puts(poll(&p, 1, (int) number(arguments[0]) * 1000) > 0 ? "closed" : "open");
        } else
                usage();
        return 0;
}
