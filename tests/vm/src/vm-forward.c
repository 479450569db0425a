/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of the guest to a loopback port of the host: QEMU starts this program for each
 * (guestfwd=…-cmd:), with the guest's stream on standard input and output.
 *
 * QEMU's own guestfwd=…-tcp: opens its one connection when it starts and serves no second one. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct pipe_end {
        int from, to;
        char data[64 * 1024];
        size_t start, end;
        bool open;
};

static int connect_loopback(const char *port) {
        char *rest;
        unsigned long number = strtoul(port, &rest, 10);
        if (*rest || number < 1 || number > 65535)
                return -EINVAL;

        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons((uint16_t) number),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return fd;
}

/* Nothing is buffered beyond one read, so a slow receiver holds up its sender. */
static void pump(struct pipe_end *p) {
        if (p->start == p->end) {
                ssize_t n = read(p->from, p->data, sizeof(p->data));
                if (n <= 0) {
                        shutdown(p->to, SHUT_WR);
                        p->open = false;
                        return;
                }
                p->start = 0;
                p->end = (size_t) n;
        } else {
                ssize_t n = send(p->to, p->data + p->start, p->end - p->start, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0)
                        exit(EXIT_SUCCESS);
                p->start += (size_t) n;
        }
}

int main(int argc, char *argv[]) {
        if (argc != 2) {
                fprintf(stderr, "usage: vm-forward PORT\n");
                return EXIT_FAILURE;
        }

        int host = connect_loopback(argv[1]);
        if (host < 0) {
                errno = -host;
                fprintf(stderr, "vm-forward: 127.0.0.1:%s: %m\n", argv[1]);
                return EXIT_FAILURE;
        }

        static struct pipe_end up = { .from = STDIN_FILENO, .open = true };
        static struct pipe_end down = { .to = STDOUT_FILENO, .open = true };
        up.to = down.from = host;

        while (up.open || down.open) {
                struct pipe_end *ends[] = { &up, &down };
                struct pollfd fds[2];
                for (size_t i = 0; i < 2; i++) {
                        bool full = ends[i]->start < ends[i]->end;
                        fds[i] = (struct pollfd){
                                .fd = !ends[i]->open ? -1
                                      : full         ? ends[i]->to
                                                     : ends[i]->from,
                                .events = full ? POLLOUT : POLLIN,
                        };
                }
                if (poll(fds, 2, -1) < 0)
                        return EXIT_FAILURE;
                for (size_t i = 0; i < 2; i++)
                        if (fds[i].revents)
                                pump(ends[i]);
        }
        return EXIT_SUCCESS;
}
