/* SPDX-License-Identifier: Apache-2.0 */

#include "server.h"

#include <linux/filter.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "announcements.h"
#include "circuit.h"
#include "listen.h"
#include "log.h"
#include "metrics.h"
#include "progress.h"
#include "routes.h"
#include "value.h"
#include "workers.h"

#define CONNECTIONS_MAX    1024U
#define CONNECTION_SECONDS 75U /* idle; the gateway keeps connections open */
#define CONNECTION_MEMORY  (32U * 1024U)
#define DISCARD_MAX        (1024U * 1024U)

#define LOGINS_WAITING_MAX 32U /* some 2 s of them for each core */
#define USERS_WAITING_MAX  256U

#define DRAIN_MS_MAX   8000 /* systemd's patience is longer */
#define DRAIN_MS_QUIET 300  /* without any request under way */

struct Server {
        const Context *context;
        struct MHD_Daemon *daemon;
        Workers *logins, *users;
        Announcements *announcements;
        int listen_fd;
        atomic_bool draining;
        atomic_uint under_way;
};

static enum MHD_Result queue_answer(Server *server, Request *request) {
        static const char *const headers[][2] = { { MHD_HTTP_HEADER_CACHE_CONTROL, "no-store" },
                                                  { "X-Content-Type-Options", "nosniff" } };

        for (size_t i = 0; i < ELEMENTSOF(headers); i++)
                if (!MHD_get_response_header(request->response, headers[i][0]) &&
                    request_add_header(request, headers[i][0], headers[i][1]) < 0)
                        return MHD_NO;
        if (atomic_load(&server->draining) &&
            request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close") < 0)
                return MHD_NO;
        return MHD_queue_response(request->connection, request->status, request->response);
}

/* Nothing at all (the connection ends) only if not even a 500 can be said. */
static enum MHD_Result answer(Server *server, Request *request, int r) {
        if (r < 0 && (r != -EBADMSG || !request->response)) {
                log_set_request(request->id[0] ? request->id : NULL);
                log_error_errno(r, "%s %s failed: %m", request->route ? request->route->method : "Request",
                                request->route ? request->route->path : "");
                log_set_request(NULL);
                if (request_problem(request, PROBLEM_INTERNAL) != -EBADMSG)
                        return MHD_NO;
        }
        if (!request->response)
                return MHD_NO;
        metrics_answered(request->route, request->status,
                         request->started_us > 0 ? monotonic_us() - request->started_us : 0);
        return queue_answer(server, request);
}

/* nginx's $request_id, which is in its log too. */
static void read_id(Request *request) {
        const char *id = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "X-Request-Id");

        if (id && strlen(id) == sizeof(request->id) - 1 && strspn(id, "0123456789abcdef") == strlen(id))
                strcpy(request->id, id);
}

static int request_append(Request *request, const char *data, size_t size) {
        if (size > REQUEST_BODY_MAX - request->body_size || request->body_too_large) {
                request->body_too_large = true;
                return 0;
        }
        if (request->body_size + size + 1 > request->body_allocated) {
                size_t wanted = request->body_allocated > 0 ? REQUEST_BODY_MAX + 1 : size + 1;
                char *larger = malloc(wanted);
                if (!larger)
                        return -ENOMEM;
                if (request->body) {
                        memcpy(larger, request->body, request->body_size);
                        explicit_bzero(request->body, request->body_size);
                        free(request->body);
                }
                request->body = larger;
                request->body_allocated = wanted;
        }
        memcpy(request->body + request->body_size, data, size);
        request->body_size += size;
        request->body[request->body_size] = '\0';
        return 0;
}

static enum MHD_Result begin(Server *server, struct MHD_Connection *connection, const char *method,
                             const char *path, void **state) {
        Request *request = calloc(1, sizeof(*request));
        uint64_t length;
        int r;

        if (!request)
                return MHD_NO;
        *state = request;
        request->context = server->context;
        request->connection = connection;
        atomic_fetch_add(&server->under_way, 1);
        metrics_add(METRIC_REQUESTS_UNDER_WAY, 1);
        read_id(request);

        /* Answered before the body is read: the connection ends with it. */
        const char *declared = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                           MHD_HTTP_HEADER_CONTENT_LENGTH);
        if (declared && value_parse_uint(declared, REQUEST_BODY_MAX, &length) < 0)
                return answer(server, request, request_problem(request, PROBLEM_BODY_TOO_LARGE));
        r = route_request(request, method, path);
        if (r < 0 && r != -EBADMSG)
                return answer(server, request, r);
        return MHD_YES;
}

static int handle_now(Request *request) {
        int r;

        log_set_request(request->id[0] ? request->id : NULL);
        progress_begin();
        r = route_handle(request);
        progress_end();
        log_set_request(NULL);
        return r;
}

/* On one of the workers, each of which has connections of its own to database and Redis. */
static void handle_later(void *item) {
        Request *request = item;

        metrics_add(request->route->slow ? METRIC_LOGINS_WAITING : METRIC_USERS_WAITING, -1);
        request->result = handle_now(request);
        request->handled = true;
        MHD_resume_connection(request->connection);
}

/* Passwords are hashed on one pool and people served on another, so that neither a flood of logins nor a
 * Redis that lets everybody wait stops the devices, which are served by the threads that have the
 * connections. */
static Workers *workers_of(const Server *server, const Route *route) {
        if (route->slow)
                return server->logins;
        return route->auth == AUTH_USER || route->auth == AUTH_PAGE ? server->users : NULL;
}

static enum MHD_Result handle(void *userdata, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version _unused_, const char *data,
                              size_t *size, void **state) {
        Server *server = userdata;
        Request *request = *state;

        if (!request)
                return begin(server, connection, method, path, state);
        if (*size > 0) {
                size_t n = *size;
                *size = 0;
                /* A refused body is read to its end, so that the answer is seen, but not for ever. */
                request->discarded += request->body_too_large ? n : 0;
                if (request->discarded > DISCARD_MAX)
                        return MHD_NO;
                if (request->response)
                        return MHD_YES;
                return request_append(request, data, n) >= 0 ? MHD_YES : MHD_NO;
        }
        if (request->response)
                return answer(server, request, -EBADMSG);
        if (request->body_too_large)
                return answer(server, request, request_problem(request, PROBLEM_BODY_TOO_LARGE));
        if (request->handled)
                return answer(server, request, request->result);
        if (request->started_us == 0)
                request->started_us = monotonic_us();
        Workers *workers = workers_of(server, request->route);
        if (!workers) {
                int r = handle_now(request);
                if (r != -EINPROGRESS)
                        return answer(server, request, r);
                MHD_suspend_connection(connection);
                announcements_submit(server->announcements, request->announcement);
                return MHD_YES;
        }
        if (!workers_reserve(workers))
                return answer(server, request,
                              request_problem(request,
                                              request->route->slow ? PROBLEM_LOGIN_BUSY : PROBLEM_BUSY));
        /* handle() is called again when handle_later() is done. */
        metrics_add(request->route->slow ? METRIC_LOGINS_WAITING : METRIC_USERS_WAITING, 1);
        MHD_suspend_connection(connection);
        workers_submit(workers, request);
        return MHD_YES;
}

static void completed(void *userdata, struct MHD_Connection *connection _unused_, void **state,
                      enum MHD_RequestTerminationCode code _unused_) {
        Server *server = userdata;
        Request *request = *state;

        if (!request)
                return;
        log_set_request(request->id[0] ? request->id : NULL);
        log_debug("%s %s: %u", request->route ? request->route->method : "-",
                  request->route ? request->route->path : "(no route)", request->status);
        log_set_request(NULL);
        request_free(request);
        *state = NULL;
        metrics_add(METRIC_REQUESTS_UNDER_WAY, -1);
        atomic_fetch_sub(&server->under_way, 1);
}

/* Percent-decodes a path or a value of the query, in place. An encoded NUL would hide what follows it: such
 * a text stays encoded, and so is no path and no value that there is. */
static size_t unescape(void *userdata _unused_, struct MHD_Connection *connection _unused_, char *text) {
        return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

static void log_library(void *userdata _unused_, const char *format, va_list ap) {
        char line[256];

        /* Not louder: it speaks of every client that goes away. */
        vsnprintf(line, sizeof(line), format, ap);
        line[strcspn(line, "\n")] = '\0';
        log_debug("libmicrohttpd: %s", line);
}

int server_new(Server **ret, const Context *context) {
        _cleanup_(server_freep) Server *server = calloc(1, sizeof(*server));
        int r;

        if (!server)
                return -ENOMEM;
        server->context = context;
        server->listen_fd = -1;
        r = listen_open(context->settings.listen, &server->listen_fd);
        if (r < 0)
                return r;
        if ((r = workers_new(&server->logins, (unsigned) context->settings.login_workers, LOGINS_WAITING_MAX,
                             handle_later)) < 0 ||
            (r = workers_new(&server->users, (unsigned) context->settings.user_workers, USERS_WAITING_MAX,
                             handle_later)) < 0 ||
            (r = announcements_new(&server->announcements, context)) < 0)
                return r;
        server->daemon = MHD_start_daemon(
                        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME |
                                        MHD_USE_ERROR_LOG,
                        0, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
                        MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_THREAD_POOL_SIZE,
                        (unsigned) context->settings.workers, MHD_OPTION_NOTIFY_COMPLETED, completed, server,
                        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                        CONNECTION_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
                        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
                        MHD_OPTION_END);
        if (!server->daemon)
                return errno > 0 ? -errno : -EIO;
        *ret = TAKE_PTR(server);
        return 0;
}

Server *server_free(Server *server) {
        if (!server)
                return NULL;
        /* First, as the library must have no suspended connection when it stops. Its threads go on, and ask
         * all three for more, until it has. */
        workers_end(server->logins);
        workers_end(server->users);
        announcements_end(server->announcements);
        if (server->daemon)
                MHD_stop_daemon(server->daemon); /* closes the listening socket, if it still has it */
        else
                safe_close(server->listen_fd);
        workers_free(server->logins);
        workers_free(server->users);
        announcements_free(server->announcements);
        free(server);
        return NULL;
}

/* From here on the kernel accepts nobody for us: what it has accepted already can be fetched. A client that
 * comes until the socket is closed is refused, over TCP when it tries again after a second. */
static int stop_accepting(int fd) {
        struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
        struct sock_fprog program = { .len = 1, .filter = &nothing };
        int family, r;

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &(socklen_t){ sizeof(family) }) < 0)
                return -errno;
        r = family == AF_UNIX ? shutdown(fd, SHUT_RD)
                              : setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
        return r < 0 ? -errno : 0;
}

/* Connections that the kernel accepted for us and nobody has fetched yet: closing the socket would reset
 * them. */
static void adopt_waiting(Server *server, int fd) {
        for (;;) {
                struct sockaddr_storage address;
                socklen_t size = sizeof(address);
                int connection = accept4(fd, (struct sockaddr *) &address, &size,
                                         SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (connection < 0) {
                        if (errno == EINTR || errno == ECONNABORTED)
                                continue;
                        return;
                }
                if (MHD_add_connection(server->daemon, connection, (struct sockaddr *) &address, size) !=
                    MHD_YES)
                        log_warning("A connection was lost while stopping");
        }
}

Server *server_drain(Server *server) {
        const struct timespec tick = { .tv_nsec = 10 * 1000 * 1000 };
        int quiet = 0;

        atomic_store(&server->draining, true);
        metrics_count(METRIC_DRAINING);
        int fd = MHD_quiesce_daemon(server->daemon);
        if (fd >= 0) {
                int r = stop_accepting(fd);

                if (r < 0)
                        log_warning_errno(r, "Connections may be lost while stopping: %m");
                adopt_waiting(server, fd);
                safe_close(fd);
        }
        for (int waited = 0; waited < DRAIN_MS_MAX && quiet < DRAIN_MS_QUIET; waited += 10) {
                nanosleep(&tick, NULL);
                quiet = atomic_load(&server->under_way) > 0 ? 0 : quiet + 10;
        }
        return server_free(server);
}
