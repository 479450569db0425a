/* SPDX-License-Identifier: Apache-2.0 */

/* Any request to apid, over its own socket, with neither a database nor Redis behind it: each is answered
 * with a problem, and none with that something went wrong here. Of an input the first line is method and
 * path, then come headers, an empty line and the body; what frames them for HTTP is added. One that begins
 * with '!' is sent as it is, whatever the server makes of it. */

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "log.h"
#include "request-socket.h"

#define QUIET_MS 50

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

        log_set_max_level(-1);
        if (redis_server_init(&context.redis, "127.0.0.1:1", NULL) < 0)
                die("redis_server_init");
        request_server_start(&context);
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
        size_t length, answered;
        bool framed;

        if (!started)
                start();
        started = true;
        _cleanup_free_ char *request = frame((const char *) data, size, &length, &framed);
        const char *reply = request_exchange(request, length, QUIET_MS, &answered);
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
