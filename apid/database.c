/* SPDX-License-Identifier: Apache-2.0 */

#include "database.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "circuit.h"
#include "log.h"
#include "metrics.h"
#include "schema-version.h"

#define PARAMETERS_MAX 16U
#define PREPARED_MAX   64U
#define ANSWER_MS      12000 /* more than statement_timeout below */

typedef struct Database {
        PGconn *connection;
        const char *prepared[PREPARED_MAX]; /* functions, which are string constants */
        size_t n_prepared;
} Database;

static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

static void database_close(Database *database) {
        PQfinish(TAKE_PTR(database->connection));
        database->n_prepared = 0;
}

static void database_free(void *userdata) {
        database_close(userdata);
        free(userdata);
}

static void make_thread_key(void) {
        if (pthread_key_create(&thread_key, database_free) != 0)
                abort();
}

static Database *database_of_thread(void) {
        pthread_once(&thread_key_once, make_thread_key);
        Database *database = pthread_getspecific(thread_key);
        if (!database && (database = calloc(1, sizeof(*database))) &&
            pthread_setspecific(thread_key, database) != 0) {
                free(database);
                return NULL;
        }
        return database;
}

static void ignore_notice(void *userdata _unused_, const PGresult *result _unused_) {}

static int database_connect(Database *database, const char *conninfo) {
        /* The first stands for the administrator's string, the others win over it. */
        static const char *const keywords[] = { "dbname",
                                                "fallback_application_name",
                                                "client_encoding",
                                                "connect_timeout",
                                                "tcp_user_timeout",
                                                "options",
                                                NULL };
        const char *const values[] = { conninfo, "apid", "UTF8", "5", "10000", "-c statement_timeout=10s",
                                       NULL };

        database_close(database);
        database->connection = PQconnectdbParams(keywords, values, 1);
        if (!database->connection)
                return -ENOMEM;
        PQsetNoticeReceiver(database->connection, ignore_notice, NULL);
        if (PQstatus(database->connection) != CONNECTION_OK) {
                log_warning("Connecting to the database failed: %s", PQerrorMessage(database->connection));
                return -ECONNREFUSED;
        }
        /* Row-level security and missing privileges mean nothing to a superuser. */
        const char *superuser = PQparameterStatus(database->connection, "is_superuser");
        if (!superuser || strcmp(superuser, "off") != 0) {
                log_error("[Database] ConnectionString= names a superuser: apid must log in as streamsight_apid");
                return -EPERM;
        }
        return 0;
}

/* A connection that the server has ended since the last request, as at its restart, is not used: so what
 * fails later was sent, and may have been done. */
static bool is_alive(Database *database) {
        struct pollfd fd = { .fd = PQsocket(database->connection), .events = POLLIN };

        if (PQstatus(database->connection) != CONNECTION_OK)
                return false;
        while (poll(&fd, 1, 0) > 0)
                if (!PQconsumeInput(database->connection))
                        return false;
        return true;
}

/* What was sent is answered in time, or never: statement_timeout is the server's own, and this is for a
 * server that stands still. */
static int receive(Database *database, PGresult **ret) {
        _cleanup_(PQclearp) PGresult *last = NULL;
        const long long end = monotonic_ms() + ANSWER_MS;

        for (;;) {
                while (PQisBusy(database->connection)) {
                        struct pollfd fd = { .fd = PQsocket(database->connection), .events = POLLIN };
                        long long left = end - monotonic_ms();
                        int n = left > 0 ? poll(&fd, 1, (int) left) : 0;
                        if (n == 0)
                                return -ETIMEDOUT;
                        if ((n < 0 && errno != EINTR) || (n > 0 && !PQconsumeInput(database->connection)))
                                return -ECONNRESET;
                }
                PGresult *next = PQgetResult(database->connection);
                if (!next)
                        break;
                PQclear(last);
                last = next;
        }
        if (!last || PQstatus(database->connection) != CONNECTION_OK)
                return -ECONNRESET;
        *ret = TAKE_PTR(last);
        return 0;
}

/* *ret is set if the server refuses. */
static int database_prepare(Database *database, const char *function, size_t n_parameters, PGresult **ret) {
        char sql[256];
        int length, r;

        for (size_t i = 0; i < database->n_prepared; i++)
                if (strcmp(database->prepared[i], function) == 0)
                        return 0;
        if (database->n_prepared == PREPARED_MAX)
                return -ENOBUFS;
        length = snprintf(sql, sizeof(sql), "SELECT * FROM api.%s(", function);
        for (size_t i = 0; i < n_parameters; i++)
                length += snprintf(sql + length, sizeof(sql) - (size_t) length, "%s$%zu", i > 0 ? ", " : "",
                                   i + 1);
        snprintf(sql + length, sizeof(sql) - (size_t) length, ")");

        _cleanup_(PQclearp) PGresult *result = NULL;
        if (PQsendPrepare(database->connection, function, sql, 0, NULL) != 1)
                return -ECONNRESET;
        r = receive(database, &result);
        if (r < 0)
                return r;
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
                *ret = TAKE_PTR(result);
        else
                database->prepared[database->n_prepared++] = function;
        return 0;
}

/* One try. *ret is set if the server answered at all; else *ret_sent says whether it may have done it. */
static int database_try(Database *database, const char *conninfo, const char *function,
                        const char *const *parameters, size_t n_parameters, PGresult **ret, bool *ret_sent) {
        int r;

        *ret_sent = false;
        if (!is_alive(database)) {
                r = database_connect(database, conninfo);
                if (r < 0)
                        return r;
        }
        r = database_prepare(database, function, n_parameters, ret);
        if (r < 0 || *ret)
                return r;
        *ret_sent = true;
        if (PQsendQueryPrepared(database->connection, function, (int) n_parameters, parameters, NULL, NULL,
                                0) != 1)
                return -ECONNRESET;
        return receive(database, ret);
}

static bool was_rolled_back(const PGresult *result) {
        const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

        /* serialization_failure, deadlock_detected */
        return state && (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0);
}

/* feature_not_supported: what was prepared returns something else since a migration. */
static bool was_prepared_before(const PGresult *result) {
        const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

        return state && strcmp(state, "0A000") == 0;
}

/* Tries a second time what cannot have been done, or may be done again. */
static int database_execute(const char *conninfo, const char *function, const char *const *parameters,
                            size_t n_parameters, bool repeatable, PGresult **ret, bool *ret_unknown) {
        static Circuit circuit;
        _cleanup_(PQclearp) PGresult *result = NULL;
        Database *database = database_of_thread();
        long long entered;
        bool sent;
        int r;

        *ret_unknown = false;
        if (!database || n_parameters > PARAMETERS_MAX)
                return -ENOMEM;
        if (!circuit_enter(&circuit, &entered))
                return -ECONNREFUSED;
        r = database_try(database, conninfo, function, parameters, n_parameters, &result, &sent);
        bool anew = was_prepared_before(result) || (r == -ECONNRESET && (!sent || repeatable));
        if (anew || was_rolled_back(result)) {
                PQclear(TAKE_PTR(result));
                if (anew)
                        database_close(database);
                r = database_try(database, conninfo, function, parameters, n_parameters, &result, &sent);
        }
        circuit_leave(&circuit, entered, r >= 0);
        if (r < 0) {
                metrics_count(METRIC_DATABASE_FAILURES);
                database_close(database);
                *ret_unknown = sent && !repeatable;
                return r;
        }
        *ret = TAKE_PTR(result);
        return 0;
}

static int call(Request *request, const char *function, const char *const *parameters, size_t n_parameters,
                bool repeatable, PGresult **ret) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        bool unknown;
        int r;

        r = database_execute(request->context->settings.database, function, parameters, n_parameters,
                             repeatable, &result, &unknown);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return request_problem(request,
                                       unknown ? PROBLEM_OUTCOME_UNKNOWN : PROBLEM_DATABASE_UNAVAILABLE);

        if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
                *ret = TAKE_PTR(result);
                return 0;
        }
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        Problem problem = problem_from_sqlstate(state);
        /* Only the primary message: the others may quote values. */
        if (problem == PROBLEM_INTERNAL)
                log_error("api.%s failed: SQLSTATE %s: %s", function, state ?: "none",
                          PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) ?: "unexpected result");
        return request_problem(request, problem);
}

int database_call(Request *request, const char *function, const char *const *parameters, size_t n_parameters,
                  PGresult **ret) {
        return call(request, function, parameters, n_parameters, false, ret);
}

int database_call_repeatable(Request *request, const char *function, const char *const *parameters,
                             size_t n_parameters, PGresult **ret) {
        return call(request, function, parameters, n_parameters, true, ret);
}

int database_rows(const Context *context, const char *function, const char *const *parameters,
                  size_t n_parameters, PGresult **ret) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        bool unknown;
        int r;

        r = database_execute(context->settings.database, function, parameters, n_parameters, true, &result,
                             &unknown);
        if (r < 0)
                return r;
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
                return log_error_errno(EIO, "api.%s failed: %s", function,
                                       PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) ?: "no result");
        *ret = TAKE_PTR(result);
        return 0;
}

/* theirs: as "streamsight-admin migrate" has noted it, or "". */
static int compare_procedures(const char *theirs) {
        static const char same_version[] = STREAMSIGHT_VERSION " ";

        if (strcmp(theirs, SCHEMA_PROCEDURES) == 0)
                return 0;
        /* Others of the same version are from before a change to it. */
        return strncmp(theirs, same_version, strlen(same_version)) == 0
                               ? -1
                               : strverscmp(theirs, SCHEMA_PROCEDURES);
}

int database_compare_schema(const Context *context, int *ret) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        bool unknown;
        int r;

        r = database_execute(context->settings.database, "version", NULL, 0, true, &result, &unknown);
        if (r < 0)
                return r;
        if (PQresultStatus(result) == PGRES_TUPLES_OK)
                *ret = atoi(PQgetvalue(result, 0, 0)) - SCHEMA_NUMBER
                                       ?: compare_procedures(PQgetvalue(result, 0, 1));
        else
                *ret = -1;
        return 0;
}

int database_maintain(const Context *context) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        bool unknown;
        int r;

        r = database_execute(context->settings.database, "maintain", NULL, 0, true, &result, &unknown);
        if (r >= 0 && PQresultStatus(result) != PGRES_TUPLES_OK)
                r = log_warning_errno(EIO, "Maintaining the database failed: %s",
                                      PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) ?: "no result");
        /* Not used for an hour: no need to keep it. */
        Database *database = database_of_thread();
        if (database)
                database_close(database);
        return r;
}

const char *database_text_at(const PGresult *result, int row, const char *column) {
        int number = PQfnumber(result, column);

        return number < 0 ? "" : PQgetvalue(result, row, number);
}

const char *database_text(const PGresult *result, const char *column) {
        return database_text_at(result, 0, column);
}
