/* SPDX-License-Identifier: Apache-2.0 */

#include "status.h"

#include <string.h>

#include "database.h"
#include "listen.h"
#include "metrics.h"
#include "redis.h"

#define CONNECTIONS_MAX    16U
#define CONNECTION_SECONDS 10U

struct Status {
        const Context *context;
        struct MHD_Daemon *daemon;
        int listen_fd;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              char *text, size_t size, enum MHD_ResponseMemoryMode mode) {
        struct MHD_Response *response = MHD_create_response_from_buffer(size, text, mode);
        enum MHD_Result r = MHD_NO;

        if (response && MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES)
                r = MHD_queue_response(connection, status, response);
        if (response)
                MHD_destroy_response(response);
        return r;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *text) {
        return answer(connection, status, "text/plain", (char *) text, strlen(text), MHD_RESPMEM_PERSISTENT);
}

/* Why not, or NULL. A line for a person; programs look at the status. */
static const char *why_not_ready(const Context *context) {
        static const char *const ping[] = { "PING" };
        _cleanup_(redisReplyp) redisReply *reply = NULL;
        int compared;

        if (metrics_get(METRIC_DRAINING))
                return "draining\n";
        if (database_compare_schema(context, &compared) < 0)
                return "the database does not answer\n";
        if (compared < 0)
                return "the database's schema is old: streamsight-admin migrate\n";
        if (context->n_session_keys > 0 &&
            redis_command(&context->redis, ELEMENTSOF(ping), ping, &reply) < 0)
                return "Redis does not answer\n";
        return NULL;
}

static enum MHD_Result send_metrics(struct MHD_Connection *connection) {
        char *text;
        size_t size;

        if (metrics_format(&text, &size) < 0)
                return MHD_NO;
        return answer(connection, MHD_HTTP_OK, "application/openmetrics-text; version=1.0.0; charset=utf-8",
                      text, size, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result handle(void *userdata, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version _unused_, const char *data _unused_,
                              size_t *size, void **state) {
        Status *status = userdata;

        if (*size > 0)
                return MHD_NO;
        if (!*state) {
                *state = status;
                return MHD_YES;
        }
        if (strcmp(method, "GET") != 0)
                return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
        if (strcmp(path, "/live") == 0)
                return say(connection, MHD_HTTP_OK, "live\n");
        if (strcmp(path, "/metrics") == 0)
                return send_metrics(connection);
        if (strcmp(path, "/ready") != 0)
                return say(connection, MHD_HTTP_NOT_FOUND, "/live, /ready, /metrics\n");
        const char *reason = why_not_ready(status->context);
        return say(connection, reason ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, reason ?: "ready\n");
}

int status_new(Status **ret, const Context *context) {
        _cleanup_(status_freep) Status *status = calloc(1, sizeof(*status));
        int r;

        if (!status)
                return -ENOMEM;
        status->context = context;
        status->listen_fd = -1;
        r = listen_open(context->settings.status_listen, &status->listen_fd);
        if (r < 0)
                return r;
        status->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, handle,
                                          status, MHD_OPTION_LISTEN_SOCKET, status->listen_fd,
                                          MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                                          MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_SECONDS,
                                          MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
        if (!status->daemon)
                return errno > 0 ? -errno : -EIO;
        *ret = TAKE_PTR(status);
        return 0;
}

Status *status_free(Status *status) {
        if (!status)
                return NULL;
        if (status->daemon)
                MHD_stop_daemon(status->daemon); /* closes the listening socket */
        else
                safe_close(status->listen_fd);
        free(status);
        return NULL;
}
