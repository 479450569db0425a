/* SPDX-License-Identifier: Apache-2.0 */

/* What tools/bench api compares apid with: the same library, set up the same way, that answers every request
 * with the same bytes; with a connection string also after one round trip to the database that does nothing
 * there. constant PORT THREADS BYTES [CONNINFO]          until SIGTERM */

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"

#define REPLY_MAX 65536U

static const char *conninfo;

static PGconn *database(void) {
        static _Thread_local PGconn *connection;

        if (!connection && conninfo) {
                connection = PQconnectdb(conninfo);
                PQclear(PQprepare(connection, "nothing", "SELECT $1::text", 1, NULL));
        }
        return connection;
}

static bool round_trip(void) {
        static const char *const parameters[] = { "nothing" };

        if (!conninfo)
                return true;
        PGresult *result = PQexecPrepared(database(), "nothing", 1, parameters, NULL, NULL, 0);
        bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;
        PQclear(result);
        return ok;
}

static enum MHD_Result handle(void *userdata, struct MHD_Connection *connection, const char *path _unused_,
                              const char *method _unused_, const char *version _unused_,
                              const char *data _unused_, size_t *size, void **state) {
        static char begun;

        if (!*state) {
                *state = &begun;
                return MHD_YES;
        }
        if (*size > 0) {
                *size = 0;
                return MHD_YES;
        }
        return round_trip() ? MHD_queue_response(connection, MHD_HTTP_CREATED, userdata) : MHD_NO;
}

int main(int argc, char *argv[]) {
        static char reply[REPLY_MAX];
        struct sockaddr_in address = { .sin_family = AF_INET };
        sigset_t signals;
        int signal_number;

        size_t size = argc >= 4 ? strtoul(argv[3], NULL, 10) : 0;
        if (argc < 4 || argc > 5 || size > sizeof(reply)) {
                fputs("Usage: constant PORT THREADS BYTES [CONNINFO]\n", stderr);
                return EXIT_FAILURE;
        }
        conninfo = argc == 5 ? argv[4] : NULL;
        address.sin_port = htons((uint16_t) strtoul(argv[1], NULL, 10));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        memset(reply, 'x', size);
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals, NULL);

        struct MHD_Response *response = MHD_create_response_from_buffer(size, reply, MHD_RESPMEM_PERSISTENT);
        struct MHD_Daemon *daemon = MHD_start_daemon(
                        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, handle, response,
                        MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_THREAD_POOL_SIZE,
                        (unsigned) strtoul(argv[2], NULL, 10), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                        (size_t) 32 * 1024, MHD_OPTION_END);
        if (!daemon) {
                perror("constant");
                return EXIT_FAILURE;
        }
        sigwait(&signals, &signal_number);
        MHD_stop_daemon(daemon);
        MHD_destroy_response(response);
        return EXIT_SUCCESS;
}
