/* SPDX-License-Identifier: Apache-2.0 */

/* Any request to apid, over its own socket, with neither a database nor Redis behind it: each is answered
 * with a problem, and none with that something went wrong here. Of an input the first line is method and
 * path, then come headers, an empty line and the body; what frames them for HTTP is added. One that begins
 * with '!' is sent as it is, whatever the server makes of it. */

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "fuzz.h"
#include "log.h"
#include "server.h"

#define QUIET_MS 50

static struct sockaddr_un address = { .sun_family = AF_UNIX };

static void die(const char *what) {
        perror(what);
        abort();
}

static void start(void) {
        static Context context = {
                .settings = { .public_url = (char *) "https://api.example.org",
                              .workers = 1,
                              .user_workers = 1,
                              .database = (char *) "host=/nonexistent dbname=none user=nobody",
                              .idle_seconds = 1800,
                              .password_iterations = 210000,
                              .login_workers = 1 },
                .master_keys.n = 1,
                .n_session_keys = 1,
        };
        char folder[] = "/tmp/fuzz-request-XXXXXX";
        static Server *server;

        log_set_max_level(-1);
        if (!mkdtemp(folder) || asprintf(&context.settings.listen, "unix:%s/socket", folder) < 0)
                die("mkdtemp");
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
        if (redis_server_init(&context.redis, "127.0.0.1:1", NULL) < 0 || server_new(&server, &context) < 0)
                die("server_new");
        /* It is reached without its name from now on, so that none is left behind. */
        int fd = open(address.sun_path, O_PATH | O_CLOEXEC);
        if (fd < 0 || unlink(address.sun_path) < 0 || rmdir(folder) < 0)
                die("open");
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%i", fd);
}

/* What the server says before it closes the connection, or falls silent: it may wait for more. */
static char *exchange(const char *request, size_t size) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        static char reply[1U << 20];
        size_t n = 0;

        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                die("connect");
        /* It may have answered and gone before it is at the end. */
        while (size > 0) {
                ssize_t sent = send(fd, request, size, MSG_NOSIGNAL);
                if (sent <= 0)
                        break;
                request += sent;
                size -= (size_t) sent;
        }
        for (struct pollfd readable = { .fd = fd, .events = POLLIN }; poll(&readable, 1, QUIET_MS) > 0;) {
                ssize_t got = recv(fd, reply + n, sizeof(reply) - 1 - n, 0);
                if (got <= 0)
                        break;
                n += (size_t) got;
        }
        reply[n] = '\0';
        return reply;
}

/* The request that an input stands for; *ret_framed: whether it is one, to be answered. */
static char *frame(const char *data, size_t size, size_t *ret_size, bool *ret_framed) {
        const char *end = data + size, *line = memchr(data, '\n', size);
        char *text = NULL;
        FILE *out = open_memstream(&text, ret_size);

        if (!out)
                die("open_memstream");
        *ret_framed = size == 0 || data[0] != '!';
        if (!*ret_framed)
                fwrite(data + 1, 1, size - 1, out);
        else {
                fwrite(data, 1, (size_t) ((line ?: end) - data), out);
                fputs(" HTTP/1.1\r\nHost: api.example.org\r\n", out);
                for (data = line ? line + 1 : end; data < end && *data != '\n';
                     data = line ? line + 1 : end) {
                        line = memchr(data, '\n', (size_t) (end - data));
                        fwrite(data, 1, (size_t) ((line ?: end) - data), out);
                        fputs("\r\n", out);
                }
                data += data < end;
                fprintf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", (size_t) (end - data));
                fwrite(data, 1, (size_t) (end - data), out);
        }
        if (fclose(out) != 0)
                die("fclose");
        return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static bool started;
        size_t length;
        bool framed;

        if (!started)
                start();
        started = true;
        _cleanup_free_ char *request = frame((const char *) data, size, &length, &framed);
        const char *reply = exchange(request, length);
        if (strncmp(reply, "HTTP/1.1 500", 12) == 0 || strstr(reply, "\nHTTP/1.1 500") ||
            strncmp(reply, "HTTP/1.1 2", 10) == 0) {
                fputs(reply, stderr);
                abort();
        }
        /* What libmicrohttpd itself refuses has a page of HTML. */
        if (framed && reply[0] && !strstr(reply, "application/problem+json") && !strstr(reply, "<html>")) {
                fputs(reply, stderr);
                abort();
        }
        return 0;
}
