/* SPDX-License-Identifier: Apache-2.0 */
#include "request-socket.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server.h"

static struct sockaddr_un address = { .sun_family = AF_UNIX };

static void die(const char *what) {
        perror(what);
        abort();
}

void request_server_start(Context *context) {
        char folder[] = "/tmp/fuzz-request-XXXXXX";
        static Server *server;
        sigset_t all, before;

        free(context->settings.listen);
        if (!mkdtemp(folder) || asprintf(&context->settings.listen, "unix:%s/socket", folder) < 0)
                die("mkdtemp");
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
        /* libFuzzer's own are this thread's. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        if (server_new(&server, context) < 0)
                die("server_new");
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        int fd = open(address.sun_path, O_PATH | O_CLOEXEC);
        if (fd < 0 || unlink(address.sun_path) < 0 || rmdir(folder) < 0)
                die("open");
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%i", fd);
}

const char *request_exchange(const char *request, size_t size, int quiet_ms, size_t *ret_size) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        static char reply[4U << 20];
        size_t n = 0;

        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                die("connect");
        /* It may have answered and gone before it is at the end. */
        while (size > 0) {
                ssize_t sent = send(fd, request, size, MSG_NOSIGNAL);
                if (sent < 0 && errno == EINTR)
                        continue;
                if (sent <= 0)
                        break;
                request += sent;
                size -= (size_t) sent;
        }
        /* Nothing else comes: apid ends the connection when it has answered, or at once where it waits for
         * more. */
        (void) shutdown(fd, SHUT_WR);
        for (;;) {
                struct pollfd readable = { .fd = fd, .events = POLLIN };
                int r = poll(&readable, 1, quiet_ms);
                ssize_t got = r > 0 ? recv(fd, reply + n, sizeof(reply) - 1 - n, 0) : r;
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        break;
                n += (size_t) got;
        }
        reply[n] = '\0';
        *ret_size = n;
        return reply;
}
