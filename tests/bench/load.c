/* SPDX-License-Identifier: Apache-2.0 */

/* Sends the requests of a file over some connections at once, each as soon as the one before it is answered,
 * and prints as JSON what came of it. In the file a request is its length in eight digits and then what goes
 * over the wire. load PORT CONNECTIONS FILE [SECONDS]           once, or again and again for so long */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"

#define CONNECTIONS_MAX 1024U
#define REPLY_MAX       65536U
#define REPLIES_MAX     10000000U

typedef struct Connection {
        int fd;
        uint64_t sent_at;
        size_t size;
        char reply[REPLY_MAX];
} Connection;

typedef struct Load {
        const char *file, *next, *end;
        uint64_t until; /* 0: to the file's end */
        uint32_t *us;
        size_t n_replies, n_failed, n_open;
} Load;

static uint64_t now_us(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static _noreturn_ void die(const char *what) {
        perror(what);
        exit(EXIT_FAILURE);
}

/* False: there are no more. */
static bool send_next(Load *load, Connection *connection) {
        char digits[9] = {};

        if (load->next == load->end && load->until > 0)
                load->next = load->file;
        if (load->next == load->end || (load->until > 0 && now_us() >= load->until) ||
            load->n_replies + load->n_open > REPLIES_MAX)
                return false;
        memcpy(digits, load->next, 8);
        size_t size = strtoul(digits, NULL, 10);
        connection->size = 0;
        connection->sent_at = now_us();
        /* Requests are small beside a socket's buffer. */
        if (send(connection->fd, load->next + 8, size, MSG_NOSIGNAL) != (ssize_t) size)
                die("send");
        load->next += 8 + size;
        return true;
}

/* Whether the reply is whole. */
static bool is_whole(const Connection *connection) {
        static const char name[] = "\r\ncontent-length:";
        const char *body = strstr(connection->reply, "\r\n\r\n"),
                   *length = strcasestr(connection->reply, name);

        return body &&
               connection->size >= (size_t) (body + 4 - connection->reply) +
                                                   (length ? strtoul(length + strlen(name), NULL, 10) : 0);
}

static void receive(Load *load, Connection *connection) {
        ssize_t n = recv(connection->fd, connection->reply + connection->size,
                         REPLY_MAX - 1 - connection->size, 0);

        if (n <= 0) {
                if (n < 0 && errno == EAGAIN)
                        return;
                fputs("load: a connection was closed\n", stderr);
                exit(EXIT_FAILURE);
        }
        connection->size += (size_t) n;
        connection->reply[connection->size] = '\0';
        if (!is_whole(connection))
                return;
        load->us[load->n_replies++] = (uint32_t) (now_us() - connection->sent_at);
        if (strncmp(connection->reply, "HTTP/1.1 2", 10) != 0)
                load->n_failed++;
        if (!send_next(load, connection)) {
                safe_close(TAKE_FD(connection->fd));
                load->n_open--;
        }
}

static void open_file(Load *load, const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                die(path);
        load->file = load->next =
                        mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (load->file == MAP_FAILED)
                die("mmap");
        load->end = load->file + st.st_size;
}

static void connect_one(Connection *connection, uint16_t port, int epoll) {
        const struct sockaddr_in address = { .sin_family = AF_INET,
                                             .sin_port = htons(port),
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };

        connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connection->fd < 0 ||
            connect(connection->fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
            setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) < 0 ||
            fcntl(connection->fd, F_SETFL, O_NONBLOCK) < 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
                die("connect");
}

static int compare(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return (x > y) - (x < y);
}

int main(int argc, char *argv[]) {
        struct epoll_event events[64];
        Load load = {};

        unsigned n = argc >= 4 ? (unsigned) strtoul(argv[2], NULL, 10) : 0;
        if (argc < 4 || argc > 5 || n == 0 || n > CONNECTIONS_MAX) {
                fputs("Usage: load PORT CONNECTIONS FILE [SECONDS]\n", stderr);
                return EXIT_FAILURE;
        }
        open_file(&load, argv[3]);
        Connection *connections = calloc(n, sizeof(*connections));
        int epoll = epoll_create1(EPOLL_CLOEXEC);
        load.us = malloc(REPLIES_MAX * sizeof(*load.us));
        if (!connections || epoll < 0 || !load.us)
                die("load");
        for (unsigned i = 0; i < n; i++)
                connect_one(&connections[i], (uint16_t) strtoul(argv[1], NULL, 10), epoll);

        uint64_t begin = now_us();
        load.until = argc == 5 ? begin + strtoul(argv[4], NULL, 10) * 1000000 : 0;
        for (unsigned i = 0; i < n; i++)
                load.n_open += send_next(&load, &connections[i]);
        while (load.n_open > 0) {
                int ready = epoll_wait(epoll, events, ELEMENTSOF(events), -1);
                for (int i = 0; i < ready; i++)
                        receive(&load, events[i].data.ptr);
        }
        uint64_t took = now_us() - begin;
        if (load.n_replies == 0)
                return EXIT_FAILURE;
        qsort(load.us, load.n_replies, sizeof(*load.us), compare);
        printf("{\"requests\": %zu, \"failed\": %zu, \"microseconds\": %lu, \"p50\": %u, \"p99\": %u, \"max\": %u}\n",
               load.n_replies, load.n_failed, (unsigned long) took, load.us[load.n_replies / 2],
               load.us[load.n_replies * 99 / 100], load.us[load.n_replies - 1]);
        return EXIT_SUCCESS;
}
